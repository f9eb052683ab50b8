"""Two stand-ins as one account, and its names: an HTTP server between the page's commands and them.

The embedded AWS refuses the templates of scaling and alarms as a whole, where moto takes them. And
the URL that it gives an API has a name that not every machine can resolve: as the proxy of whoever
asks it, this server knows where that is.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
TO_MOTO: Final = re.compile(rb"\bStackName=[\w-]+-(scaling|alarms)\b")
HOP_BY_HOP: Final = {"connection", "content-length", "date", "server", "transfer-encoding"}


@contextmanager
def front(embedded: str, moto: str) -> Iterator[str]:
    """One URL for both.

    Args:
        embedded: Where everything goes, but
        moto: where CloudFormation goes if it is about scaling or alarms.
    """

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name that http.server asks for
            self._pass_on()

        def do_POST(self) -> None:  # as above
            self._pass_on()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            to = urlsplit(moto if TO_MOTO.search(body) else embedded)
            asked = urlsplit(self.path)  # whole, if a proxy is asked
            path = asked.path + (f"?{asked.query}" if asked.query else "")
            connection = http.client.HTTPConnection(str(to.hostname), to.port, timeout=60)
            try:
                headers: Mapping[str, str] = dict(self.headers)
                connection.request(self.command, path, body, headers)
                got = connection.getresponse()
                answer = got.read()
            finally:
                connection.close()
            self.send_response(got.status)
            for name, value in got.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer((HOST, 0), Front)
    thread = Thread(target=server.serve_forever, name="front")
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
