from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ftq_daemon.healthcheck import ask


class Health(BaseHTTPRequestHandler):
    """Answers as the daemon does, or as one that is stuck."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"a receive is overdue")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    handler = type("Answers", (Health,), {"status": getattr(request, "param", 200)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1"])  # noqa: S104  # a setting's value
def test_a_daemon_that_answers_is_well(port: int, host: str) -> None:
    assert ask({"FTQ_HEALTH_HOST": host, "FTQ_HEALTH_PORT": str(port)}) == ""


@pytest.mark.parametrize("port", [503], indirect=True)
def test_one_that_is_stuck_says_why(port: int) -> None:
    assert ask({"FTQ_HEALTH_PORT": str(port)}) == "503 a receive is overdue"


def test_one_that_is_not_there_is_not_well() -> None:
    assert "ConnectionRefusedError" in ask({"FTQ_HEALTH_PORT": "1"})


def test_a_port_that_is_none_is_said() -> None:
    assert "ValueError" in ask({"FTQ_HEALTH_PORT": "http"})
