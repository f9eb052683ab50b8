"""A mail server that is down when it is told to be: enough of RFC 5321 for `smtplib`."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from socketserver import StreamRequestHandler, ThreadingTCPServer


class MailServer(ThreadingTCPServer):
    """Takes mail; knows nobody whose name is ``nobody``.

    Args:
        down: Whether it has no time now.

    Attributes:
        mails: What it took, by Message-ID.
        refused: How many connections it sent away.
    """

    daemon_threads = True

    def __init__(self, down: Callable[[], bool]) -> None:
        """Listen on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.down = down
        self.mails: dict[str, Message] = {}
        self.refused = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Connection(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        if self.server.down():
            self.server.refused += 1
            self._say("421 come back later")
            return
        self._say("220 mail")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._say("354 go on")
                self._take()
            elif verb == b"RCPT" and re.search(b"<nobody@", line):
                self._say("550 nobody there")
            else:
                self._say("250 fine")

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        mail = message_from_bytes(b"".join(lines))
        self.server.mails[mail["Message-ID"]] = mail
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
