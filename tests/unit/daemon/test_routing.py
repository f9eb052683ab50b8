"""How a failure ends decides where its task goes: each row of the table, seen on the queue.

The table is also docs/reference/routing.md; a test here holds the two together.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftq import Context, Registry, Reject, Retry, RetryPolicy
from ftq.codec import encode
from ftq.lifecycle import State
from ftq.wire import queue, table
from tests.unit.daemon.bench import TABLE, Bench
from tests.unit.daemon.test_daemon import Number, play

BASE = 100
POLICY = RetryPolicy(attempts=3, base=BASE, cap=1000)


@dataclass(frozen=True)
class Row:
    """A way to fail, and what is done about it.

    Attributes:
        name: What happens.
        how: How a handler, a producer or the world does it.
        first: What is done at first.
        seconds: How long the message is hidden then, at least and at most.
        counted: What is counted: attempts, releases or crashes.
        end: How a task ends to which it happens every time, and the cause kept with it.
    """

    name: str
    how: str
    first: str
    seconds: tuple[float, float] | None
    counted: str
    end: str


ROWS = {
    row.name: row
    for row in (
        Row("retryable", "any exception", "retry", (0, BASE), "attempts", "attempts_spent"),
        Row("timeout", "past its `timeout`", "retry", (0, BASE), "attempts", "attempts_spent"),
        Row("retry asked", "`Retry(after=70)`", "retry", (70, 70), "attempts", "attempts_spent"),
        Row(
            "throttled",
            "`Retry(after=70, counts=False)`",
            "retry",
            (70, 70),
            "releases",
            "never by itself",
        ),
        Row("permanent", "an exception in `permanent`", "dead", None, "attempts", "permanent"),
        Row("rejected", "`Reject`", "dead", None, "attempts", "rejected"),
        Row("invalid payload", "does not validate", "dead", None, "attempts", "invalid_payload"),
        Row(
            "crash",
            "the daemon dies under it",
            "run again",
            (0, 60),
            "crashes",
            "crash_loop",
        ),
        Row("stop", "the daemon drains", "release", (0, 0), "releases", "never by itself"),
        Row(
            "unknown type",
            "no handler here",
            "yield",
            (15, 45),
            "nothing",
            "unknown_type, after an hour",
        ),
        Row("payload lost", "a large one is gone", "dead", None, "releases", "payload_lost"),
        Row(
            "record expired",
            "a dead letter comes back too late",
            "put aside",
            None,
            "nothing",
            "record_expired (no record)",
        ),
        Row("unreadable", "no envelope", "put aside", None, "nothing", "unreadable (no record)"),
    )
}


def _hidden(row: Row) -> str:
    if row.name == "crash":
        return "to the end of the visibility timeout"
    match row.seconds:
        case None:
            return "–"
        case (0, 0):
            return "not at all"
        case (0, _):
            return "full jitter: 0 to base · 2ⁿ⁻¹ s, at most the cap"
        case (low, high):
            return "as asked" if low == high else f"{low:g} to {high:g} s"


def rendered() -> str:
    lines = [
        "| what happens | how | done first | message hidden | counted | if it happens every time |",
        "|---|---|---|---|---|---|",
    ]
    for row in ROWS.values():
        hidden = _hidden(row)
        cells = (row.name, row.how, row.first, hidden, row.counted, row.end)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_documented_table_is_this_one() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "routing.md"
    assert rendered() in page.read_text()


def failing() -> Registry:
    registry = Registry()

    @registry.handler("fails", retry=POLICY, timeout=5, permanent=(LookupError,))
    async def fails(number: Number, context: Context) -> None:
        errors: list[Exception] = [
            ValueError("retryable"),
            Retry(after=70),
            Retry(after=70, counts=False),
            KeyError("permanent"),
            Reject("rejected"),
        ]
        if number.n < len(errors):
            raise errors[number.n]
        await asyncio.sleep(3600)

    return registry


async def hidden_for(bench: Bench, began: float) -> float:
    """Seconds from a moment to when the queue shows a message again."""
    got: list[queue.Message] = []
    while not got:
        got = queue.read_receive(await bench.aws.call(queue.receive(bench.url, 1, 20, 600)))
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize(
    ("name", "n", "outcome"),
    [
        ("retryable", 0, "failed"),
        ("retry asked", 1, "asked_retry"),
        ("throttled", 2, "asked_retry"),
        ("timeout", 9, "timed_out"),
    ],
)
def test_what_may_pass_is_hidden_for_as_long_as_the_table_says(
    name: str, n: int, outcome: str
) -> None:
    row = ROWS[name]

    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {"n": n})
        worker = await bench.start(failing())
        await worker.tells("task.retrying")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        worker.kill()
        waited = await hidden_for(bench, began)
        task = await bench.task(submitted.id)
        assert task.state is State.RETRYING
        assert [entry.outcome for entry in task.history] == [outcome]
        assert (task.attempts, task.releases) == ((1, 0) if row.counted == "attempts" else (0, 1))
        assert row.seconds is not None
        # SQS counts whole seconds, and they are rounded up: never early.
        assert task.free_at / 1000 - task.history[-1].at / 1000 <= row.seconds[1]
        assert row.seconds[0] <= waited <= row.seconds[1] + 1.1

    play(story)


@pytest.mark.parametrize("name", ["retryable", "retry asked", "timeout"])
def test_what_fails_every_time_is_dead_once_its_attempts_are_spent(name: str) -> None:
    async def story(bench: Bench) -> None:
        n = {"retryable": 0, "retry asked": 1, "timeout": 9}[name]
        submitted = await bench.submit("fails", {"n": n})
        worker = await bench.start(failing())
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        (copy,) = await bench.dead_letters()
        assert (task.attempts, task.releases, task.crashes) == (3, 0, 0)
        assert [(entry.claim_no, entry.by) for entry in task.history] == [
            (claim_no, "daemon-0") for claim_no in (1, 2, 3)
        ]
        assert str(copy.attributes[queue.CAUSE]["StringValue"]).startswith(ROWS[name].end)

    play(story)


@pytest.mark.parametrize(
    ("name", "payload"),
    [("permanent", {"n": 3}), ("rejected", {"n": 4}), ("invalid payload", {"n": "x"})],
)
def test_what_cannot_pass_is_dead_after_one_attempt(name: str, payload: dict[str, object]) -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", payload)  # type: ignore[arg-type]  # dict is invariant
        worker = await bench.start(failing())
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        (copy,) = await bench.dead_letters()
        assert (task.state, task.attempts, task.claim_no) == (State.DEAD, 1, 1)
        assert str(copy.attributes[queue.CAUSE]["StringValue"]).startswith(ROWS[name].end)
        assert await bench.backlog() == 0

    play(story)


def test_a_crash_shows_the_message_at_the_end_of_its_visibility_and_counts_apart() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {"n": 9})
        worker = await bench.start(failing())
        await worker.tells("task.claimed")
        began = asyncio.get_running_loop().time()
        worker.kill()
        waited = await hidden_for(bench, began)
        task = await bench.task(submitted.id)
        assert (task.state, task.attempts, task.releases) == (State.RUNNING, 0, 0)
        assert 58 <= waited <= 61
        assert task.free_at <= bench.now()  # whoever receives it then may have it

    play(story)


def test_a_stop_shows_the_message_at_once() -> None:
    registry = Registry()

    @registry.handler("fails", timeout=3600)
    async def fails(_: Number) -> None:
        await asyncio.sleep(3000)

    async def story(bench: Bench) -> None:
        await bench.submit("fails", {})
        worker = await bench.start(registry)
        await worker.tells("task.claimed")
        await worker.drain()
        assert await hidden_for(bench, asyncio.get_running_loop().time()) < 1

    play(story)


def test_an_unknown_type_is_hidden_for_a_while_and_nothing_is_counted() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        worker = await bench.start(Registry())
        await worker.tells("message.refused")
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        worker.kill()
        waited = await hidden_for(bench, began)
        task = await bench.task(submitted.id)
        assert (task.state, task.claim_no, task.releases) == (State.QUEUED, 0, 0)
        low, high = ROWS["unknown type"].seconds or (0, 0)
        assert low <= waited <= high + 1.1

    play(story)


async def cause_of_the_only_dead_letter(bench: Bench) -> str:
    (copy,) = await bench.dead_letters()
    return str(copy.attributes[queue.CAUSE]["StringValue"])


def named(cause: str, name: str) -> bool:
    """Whether a cause is the one that the table says for what happens."""
    return cause.partition(" · ")[0] == re.split(r"[, ]", ROWS[name].end)[0]


def test_what_crashes_every_time_is_dead_by_crash_loop() -> None:
    registry = Registry()

    async def story(bench: Bench) -> None:
        @registry.handler("kills")
        async def kills(_: Number) -> None:
            await bench.die()

        submitted = await bench.submit("kills", {})
        for _ in range(2):
            worker = await bench.start(registry)
            await asyncio.wait({worker.run})
        worker = await bench.start(registry)
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        assert (task.attempts, task.crashes) == (0, 3)
        assert named(await cause_of_the_only_dead_letter(bench), "crash")

    play(story)


def test_a_type_that_stays_unknown_is_dead_after_an_hour() -> None:
    async def story(bench: Bench) -> None:
        submitted = await bench.submit("fails", {})
        worker = await bench.start(Registry())
        (task,) = await bench.ended(submitted.id)
        await worker.drain()
        assert (task.attempts, task.crashes) == (0, 0)
        assert 3600 <= (task.due_at - task.created_at) / 1000 < 3700
        assert named(await cause_of_the_only_dead_letter(bench), "unknown type")

    play(story)


def test_a_payload_that_is_gone_is_dead_and_no_attempt_is_spent() -> None:
    async def story(bench: Bench) -> None:
        planned = bench.plan("fails", {"n": 0, "pad": "x" * 2000})
        await bench.aws.call(table.put(TABLE, planned.task))
        await bench.send(encode(planned.task, None), queue.mark(queue.STORED, "1"))
        worker = await bench.start(failing())
        (task,) = await bench.ended(planned.task.id)
        await worker.drain()
        assert (task.attempts, task.releases) == (0, 1)
        assert named(await cause_of_the_only_dead_letter(bench), "payload lost")

    play(story)


@pytest.mark.parametrize(
    ("name", "body", "claim_no"),
    [
        ("record expired", '{"v": 1, "id": "gone", "type": "fails", "payload": {}}', "3"),
        ("unreadable", "no envelope", ""),
    ],
)
def test_a_message_without_a_record_that_cannot_be_run_is_put_aside(
    name: str, body: str, claim_no: str
) -> None:
    async def story(bench: Bench) -> None:
        await bench.send(body, queue.mark(queue.CLAIM_NO, claim_no) if claim_no else None)
        worker = await bench.start(failing())
        await worker.tells("message.refused" if claim_no else "message.put_aside")
        await worker.drain()
        assert named(await cause_of_the_only_dead_letter(bench), name)
        assert await bench.backlog() == 0

    play(story)
