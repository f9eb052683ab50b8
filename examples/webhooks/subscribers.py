"""Subscribers of every kind, in one server."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Subscribers(ThreadingHTTPServer):
    """Answers by the path: ``/quick``, ``/busy``, ``/flaky`` and ``/gone``.

    Attributes:
        got: The ids of what each path took, in order.
        asked: How often each path was asked.
    """

    daemon_threads = True

    def __init__(self, retry_after: str = "2") -> None:
        """Listen on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), _Request)
        self.retry_after = retry_after
        self.got: list[tuple[str, str]] = []
        self.asked: Counter[str] = Counter()

    def url(self, path: str) -> str:
        """The address of one of them."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def __enter__(self) -> Subscribers:
        """Answer from now on."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: Subscribers

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked[self.path] += 1
        status = self._status()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if status == 200:
            self.server.got.append((self.path, self.headers["Webhook-Id"]))

    def _status(self) -> int:
        times = self.server.asked[self.path]
        match self.path:
            case "/busy":
                return 429 if times <= 2 else 200
            case "/flaky":
                return 500 if times <= 2 else 200
            case "/gone":
                return 410
            case _:
                return 200

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
