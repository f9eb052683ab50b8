"""X-Ray's documents on their way to the X-Ray daemon: redacted, in datagrams that it takes."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Mapping
from typing import Final

from aws_xray_sdk.core.emitters.udp_emitter import PROTOCOL_DELIMITER, PROTOCOL_HEADER
from aws_xray_sdk.core.models.entity import Entity

from ftq.redaction import USUAL, Names, redact
from ftq.text import Json

# "Segment documents … are limited to a maximum size of 64 kB" (X-Ray segment documents).
DOCUMENT_BYTES: Final = 64_000
_TEXTS: Final = frozenset({"annotations", "aws", "http", "metadata", "name", "sql", "user"})
_HEAD: Final = f"{PROTOCOL_HEADER}{PROTOCOL_DELIMITER}".encode()
_log: Final = logging.getLogger(__name__)


class Emitter:
    """Sends documents to the X-Ray daemon, or loses them: nothing is waited for.

    Args:
        host: Its IP address.
        port: Its UDP port.
        names: Secret names, whose values are left out.

    Attributes:
        lost: Documents that could not be sent, as far as that can be known.
    """

    def __init__(self, host: str, port: int, names: Names = USUAL) -> None:
        """Open a socket; nothing is sent yet."""
        self.lost = 0
        self._to = (host, port)
        self._names = names
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send_entity(self, entity: Entity) -> None:
        """Send a segment, or a subsegment that goes before it. Never raises."""
        try:
            self._send(self._plain(entity))
        except Exception as error:  # it runs inside handlers too, and is no reason for them to fail
            self._lose(type(error).__name__)

    def set_daemon_address(self, address: str | None) -> None:
        """Nothing: the address was checked at the start, and stays."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, document: dict[str, Json]) -> None:
        body = _encoded(document)
        if len(body) > DOCUMENT_BYTES:
            # Subsegments can travel on their own; then what is left of it in large.
            below = document.pop("subsegments", [])
            for each in below if isinstance(below, list) else []:
                if isinstance(each, dict):
                    self._send(each)
            body = _encoded(document)
        for large in ("metadata", "cause", "sql", "http"):
            if len(body) > DOCUMENT_BYTES:
                document.pop(large, None)
                body = _encoded(document)
        if len(body) > DOCUMENT_BYTES:
            self._lose("TooLarge")
            return
        self._socket.sendto(_HEAD + body, self._to)

    def _plain(self, entity: Entity) -> dict[str, Json]:
        document: dict[str, Json] = json.loads(json.dumps(entity.to_dict(), default=str))
        self._redact(document)
        return document

    def _redact(self, document: dict[str, Json]) -> None:
        """Take out what is secret, wherever people's texts stand; ids and times are ours."""
        for key in _TEXTS & document.keys():
            document[key] = redact(document[key], self._names)
        cause, below = document.get("cause"), document.get("subsegments")
        exceptions = cause.get("exceptions") if isinstance(cause, dict) else None
        for each in exceptions if isinstance(exceptions, list) else []:
            if isinstance(each, dict):
                each["message"] = redact(each.get("message", ""), self._names)
        for each in below if isinstance(below, list) else []:
            if isinstance(each, dict):
                self._redact(each)

    def _lose(self, why: str) -> None:
        self.lost += 1
        if self.lost == 1:
            _log.warning("a trace document was not sent: %s; further ones are not told", why)


def _encoded(document: Mapping[str, Json]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
