"""A log that is slow, full or gone holds nobody up, and says what it lost."""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Iterator

import pytest

from ftq_daemon.sinks.lines import Lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def told(count: int) -> bytes:
    return b"lost %d\n" % count


def read(end: int, count: int) -> list[bytes]:
    text = b""
    while text.count(b"\n") < count:
        text += os.read(end, 65_536)
    return text.splitlines()


def test_a_line_is_out_as_soon_as_it_is_written(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Lines(writer, told).write(b"one\n")
    os.set_blocking(reader, False)
    assert os.read(reader, 100) == b"one\n"


def test_lines_of_one_turn_of_the_loop_are_out_before_what_the_turn_has_set_going(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    lines, out = Lines(writer, told), b""
    sent = [b"%03d %s\n" % (number, b"x" * 200) for number in range(30)]

    async def starts() -> None:
        nonlocal out
        out = os.read(reader, 65_536)

    async def turn() -> None:
        for line in sent:
            lines.write_soon(line)
        await asyncio.create_task(starts())

    asyncio.run(turn())
    assert out == b"".join(sent)


def test_a_line_that_no_loop_will_bring_out_goes_at_once_and_the_last_turn_at_the_end(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    lines = Lines(writer, told)
    lines.write_soon(b"one\n")
    assert read(reader, 1) == [b"one"]

    async def last() -> list[bytes]:
        lines.write_soon(b"two\n")
        lines.close(0)
        return read(reader, 1)

    assert asyncio.run(last()) == [b"two"]


def test_a_reader_that_stands_still_holds_up_no_writer_and_gets_every_line_in_order(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    lines = Lines(writer, told)
    sent = [b"%06d %s" % (number, b"x" * 100) for number in range(5000)]
    for line in sent:
        lines.write(line + b"\n")
    assert read(reader, len(sent)) == sent
    lines.write(b"long " + b"y" * 300_000 + b"\n")
    lines.write(b"last\n")
    assert [len(line) for line in read(reader, 2)] == [300_005, 4]
    assert lines.lost == 0


def fill(writer: int) -> int:
    """Fill a pipe, as somebody else who writes to it may; how many bytes that took."""
    count = 0
    os.set_blocking(writer, False)
    try:
        while True:
            count += os.write(writer, b"." * 4096)
    except BlockingIOError:
        return count
    finally:
        os.set_blocking(writer, True)


def waits_not(writer: int) -> bool:
    try:
        os.pwritev(writer, [b"\n"], -1, os.RWF_NOWAIT)
    except OSError:
        return False
    return True


def test_room_that_another_process_takes_first_holds_nobody_up(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    if not waits_not(writer):
        pytest.skip("Linux before 6.4 has no write to a pipe that waits for nothing")
    filled: list[int] = []

    class Room:
        """Says that there is room, and by then there is none."""

        def register(self, *_: object) -> None: ...

        def poll(self, _: int) -> list[int]:
            filled.append(fill(writer))
            return [writer]

    monkeypatch.setattr(select, "poll", Room)
    lines = Lines(writer, told)
    writes = threading.Thread(target=lines.write, args=(b"late\n",), daemon=True)
    writes.start()
    writes.join(10)
    held_up = writes.is_alive()
    text = b""
    while not text.endswith(b"late\n"):
        text += os.read(reader, 65_536)
    assert (held_up, len(text)) == (False, 1 + sum(filled) + 5)


def test_what_no_longer_fits_is_lost_and_told(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = Lines(writer, told, most=300_000)
    taken = [lines.write(b"z" * 99_999 + b"\n") for _ in range(10)]
    lost = lines.lost
    assert taken.count(False) == lost
    assert lost in (6, 7)  # one may be in the thread's hands
    got = read(reader, 10 - lost + 1)
    assert got[-1] == b"lost %d" % lost
    assert {line[:1] for line in got[:-1]} == {b"z"}


def test_a_reader_that_is_gone_raises_nothing(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = Lines(writer, told)
    os.close(reader)
    assert not lines.write(b"one\n")
    lines.write(b"two " * 10_000 + b"\n")
    lines.close(10)
    assert lines.lost == 2


def test_what_a_fault_took_is_told_as_soon_as_lines_go_out_again(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = Lines(writer, told)
    os.close(reader)
    lines.write(b"taken\n")
    again, better = os.pipe()
    try:
        os.dup2(better, writer)
        lines.write(b"here\n")
        lines.write(b"and here\n")
        assert os.read(again, 100) == b"here\nlost 1\nand here\n"
    finally:
        os.close(again)
        os.close(better)
    assert lines.lost == 1


def test_closing_waits_for_what_is_on_its_way_but_not_for_ever(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lines = Lines(writer, told)
    lines.write(b"x" * 200_000 + b"\n")
    lines.close(0)
    assert len(read(reader, 1)[0]) == 200_000
    lines.close(10)
    lines.write(b"after\n")
    os.set_blocking(reader, False)
    assert os.read(reader, 100) == b"after\n"
