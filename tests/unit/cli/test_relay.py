from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator

import pytest

from ftq_cli import relay
from ftq_cli.relay import CUT, LEFT_OUT, LINE_BYTES, WAITING_BYTES, lines, relaying


async def read(*chunks: bytes) -> list[str]:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return [line async for line in lines(stream)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((), []),
        ((b"a\nb\n",), ["a", "b"]),
        ((b"a", b"b\n\nc"), ["ab", "", "c"]),
        (("ü".encode()[:1], "ü".encode()[1:] + b"\n\xff"), ["ü", "\ufffd"]),
        ((b"x" * LINE_BYTES + b"\n",), ["x" * LINE_BYTES]),
        ((b"x" * (3 * LINE_BYTES), b"y\nz"), ["x" * LINE_BYTES + CUT, "z"]),
    ],
)
async def test_lines_come_whole_or_cut(chunks: tuple[bytes, ...], expected: list[str]) -> None:
    assert await read(*chunks) == expected


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue  # the test did


def never(error: OSError) -> None:
    raise AssertionError(error)


async def test_lines_are_written_in_order_to_the_last(pipe: tuple[int, int]) -> None:
    with relaying(pipe[1], never) as add:
        for n in range(100):
            add(f"ü{n}\ud800")
    os.close(pipe[1])
    with os.fdopen(pipe[0], "rb", closefd=False) as file:
        said = file.read().decode()
    assert said == "".join(f"ü{n}?\n" for n in range(100))


async def test_a_reader_that_does_not_read_loses_lines_and_is_told(pipe: tuple[int, int]) -> None:
    line, seen = "x" * 99_999, bytearray()
    count = WAITING_BYTES // len(line) + 100

    def drain() -> None:
        while chunk := os.read(pipe[0], 1 << 20):
            seen.extend(chunk)

    reader = threading.Thread(target=drain)
    with relaying(pipe[1], never) as add:
        for _ in range(count):
            add(line)
        reader.start()
        while LEFT_OUT.encode() not in seen:  # noqa: ASYNC110  # a thread tells nobody
            await asyncio.sleep(0.01)
        add("after")
    os.close(pipe[1])
    reader.join()
    *whole, told, after = seen.decode().splitlines()
    assert set(whole) == {line}
    assert len(whole) + json.loads(told)["lines"] == count
    assert after == "after"


async def test_the_end_does_not_wait_for_a_reader_that_does_not_read(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "CLOSE_SECONDS", 0.05)
    with relaying(pipe[1], never) as add:
        add("x" * 1_000_000)
    os.close(pipe[0])  # the thread's write ends with that


async def test_a_reader_that_is_gone_is_told_once(pipe: tuple[int, int]) -> None:
    told: asyncio.Queue[OSError] = asyncio.Queue()
    os.close(pipe[0])
    with relaying(pipe[1], told.put_nowait) as add:
        add("a")
        assert isinstance(await told.get(), BrokenPipeError)
        add("b")
        await asyncio.sleep(0.05)
    assert told.empty()


async def test_a_pipe_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    seen = bytearray()

    def drain() -> None:
        while len(seen) < 1_000_001:
            seen.extend(os.read(pipe[0], 1 << 20))

    with relaying(pipe[1], never) as add:
        add("x" * 1_000_000)
        await asyncio.sleep(0.05)
        await asyncio.to_thread(drain)
    assert seen == b"x" * 1_000_000 + b"\n"
