"""What listens where the X-Ray daemon would: each document is held against AWS's description."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ftq.text import Json

Document = dict[str, Json]

_ID = re.compile("[0-9a-f]{16}")
_TRACE = re.compile("1-[0-9a-f]{8}-[0-9a-f]{24}")
_KEY = re.compile("[A-Za-z0-9_]+")


@dataclass
class Listener:
    """Documents as they came, and where they are taken."""

    port: int
    documents: list[Document] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait(self, count: int, seconds: float = 10) -> list[Document]:
        """Wait for this many documents; those that there are."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.documents) >= count, seconds), (
                f"{len(self.documents)} of {count} documents came"
            )
            return list(self.documents)


@contextmanager
def listening() -> Iterator[Listener]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        door.bind(("127.0.0.1", 0))
        listener = Listener(door.getsockname()[1])

        def listen() -> None:
            while (datagram := door.recv(65_536)) != b"end":
                head, _, body = datagram.partition(b"\n")
                assert json.loads(head) == {"format": "json", "version": 1}
                with listener.came:
                    listener.documents.append(json.loads(body))
                    listener.came.notify_all()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            door.sendto(b"end", ("127.0.0.1", listener.port))
            thread.join(5)
        for document in listener.documents:
            check(document)


def check(document: Document) -> None:
    """AWS X-Ray segment documents: required fields, formats, limits."""
    assert len(json.dumps(document)) <= 64_000
    assert _TRACE.fullmatch(str(document["trace_id"]))
    if "parent_id" in document:
        assert _ID.fullmatch(str(document["parent_id"]))
    if document.get("type") == "subsegment":
        assert "parent_id" in document
    _check_part(document)


def _check_part(part: Document) -> None:
    assert _ID.fullmatch(str(part["id"]))
    name = part["name"]
    assert isinstance(name, str)
    assert 1 <= len(name) <= 200
    began = part["start_time"]
    assert isinstance(began, float | int)
    assert began > 1_000_000_000
    if part.get("in_progress"):
        assert "end_time" not in part
    else:
        ended = part["end_time"]
        assert isinstance(ended, float | int)
        assert ended >= began
    for key, value in mapping(part.get("annotations")).items():
        assert _KEY.fullmatch(key)
        assert isinstance(value, str | int | float | bool)
    cause = part.get("cause")
    for each in rows(mapping(cause).get("exceptions")) if isinstance(cause, dict) else ():
        assert _ID.fullmatch(str(each["id"]))
    for each in rows(part.get("subsegments")):
        _check_part(each)


def mapping(value: Json) -> Document:
    return value if isinstance(value, dict) else {}


def rows(value: Json) -> list[Document]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]


def parts(document: Document) -> dict[str, Document]:
    """The subsegments of a document by their names."""
    return {str(each["name"]): each for each in rows(document.get("subsegments"))}


def notes(document: Document) -> Document:
    """The annotations of a document."""
    return mapping(document.get("annotations"))
