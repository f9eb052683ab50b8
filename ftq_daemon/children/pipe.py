"""What goes between the daemon and its children: frames of JSON, each after its length.

    daemon ──► child    hello, then for each call: call · signals* · end?
    child  ──► daemon   types or error, then for each call: progress* · outcome

Text and numbers only: what a handler returns or raises is an outcome before it travels.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Final, TypeAlias

from ftq.outcome import AskedRetry, Invalid, Outcome, Raised, Rejected, Returned
from ftq.task import Failure
from ftq.text import Json

Frame: TypeAlias = dict[str, Json]

# A length beyond this is no frame of ours: somebody else wrote to the pipe. A payload of 256 KiB
# may be escaped to six times its size.
FRAME_BYTES: Final = 4 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")


class BrokenPipe(Exception):
    """What came through the pipe is no frame."""


def pack(frame: Frame) -> bytes:
    """A frame as bytes."""
    body = json.dumps(frame, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, in the daemon; None when the pipe is closed.

    Raises:
        BrokenPipe: What came is no frame.
    """
    try:
        length = _length(await reader.readexactly(_LENGTH.size))
        return _unpack(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def receive(pipe: socket.socket) -> Frame | None:
    """The next frame, in the child; None when the pipe is closed."""
    try:
        head = _receive(pipe, _LENGTH.size)
        body = _receive(pipe, _length(head)) if head else b""
    except OSError:
        return None
    return _unpack(body) if body else None


def _receive(pipe: socket.socket, count: int) -> bytes:
    chunks: list[bytes] = []
    while count:
        chunk = pipe.recv(count)
        if not chunk:
            return b""
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if not isinstance(length, int) or not 2 <= length <= FRAME_BYTES:
        raise BrokenPipe(f"a frame of {length} bytes")
    return length


def _unpack(body: bytes) -> Frame:
    try:
        frame = json.loads(body)
    except ValueError as error:
        raise BrokenPipe(f"a frame that is no JSON: {error}") from error
    if not isinstance(frame, dict):
        raise BrokenPipe("a frame that is no object")
    return frame


def dump_outcome(outcome: Outcome) -> Frame:
    """An outcome as a child sends it.

    Raises:
        TypeError: It is one that only the daemon can come to.
    """
    match outcome:
        case Returned(result):
            return {"word": outcome.word, "result": result}
        case Raised(failure, permanent, trips):
            return {
                "word": outcome.word,
                "failure": _dump(failure),
                "permanent": permanent,
                "trips": trips,
            }
        case AskedRetry(failure, after, counts):
            return {
                "word": outcome.word,
                "failure": _dump(failure),
                "after": after,
                "counts": counts,
            }
        case Rejected(failure) | Invalid(failure):
            return {"word": outcome.word, "failure": _dump(failure)}
        case _:
            raise TypeError(f"no child comes to {outcome}")


def load_outcome(frame: Json) -> Outcome:
    """An outcome as a child sent it.

    Raises:
        BrokenPipe: It is none.
    """
    match frame:
        case {"word": Returned.word, "result": str(result)}:
            return Returned(result)
        case {
            "word": Raised.word,
            "failure": list(failure),
            "permanent": bool(permanent),
            "trips": bool(trips),
        }:
            return Raised(_load(failure), permanent, trips)
        case {"word": AskedRetry.word, "failure": list(failure), "counts": bool(counts), **rest}:
            after = rest.get("after")
            return AskedRetry(
                _load(failure), after if isinstance(after, int | float) else None, counts
            )
        case {"word": Rejected.word, "failure": list(failure)}:
            return Rejected(_load(failure))
        case {"word": Invalid.word, "failure": list(failure)}:
            return Invalid(_load(failure))
        case _:
            raise BrokenPipe("an outcome that is none")


def _dump(failure: Failure) -> list[Json]:
    return [failure.kind, failure.class_name, failure.message, failure.fingerprint]


def _load(fields: list[Json]) -> Failure:
    match fields:
        case [str(kind), str(class_name), str(message), str(fingerprint)]:
            return Failure(kind, class_name, message, fingerprint)
        case _:
            raise BrokenPipe("a failure that is none")
