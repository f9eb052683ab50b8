"""`ftq.sweep`: what is done about an overdue task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.lifecycle import FINAL, OPEN, State
from ftq.submission import Submission, Terms, plan
from ftq.sweep import (
    LONGEST,
    Leave,
    Overdue,
    Postpone,
    Send,
    Sweep,
    deserves_a_look,
    is_lost,
    sweep,
)
from ftq.task import Task

NOW = 1_800_000_000_000
GRACE, INTERVAL = 900_000, 30_000
TASK = Task(
    "t1", "a", "https://queue", State.QUEUED, due_at=NOW - 1, sent_at=NOW - GRACE - 1, sweeps=0
)


def answer(task: Task, mark: int = NOW) -> Sweep:
    return sweep(task, mark=mark, grace=GRACE, interval=INTERVAL, now=NOW)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_has_ended_is_left(state: State) -> None:
    assert answer(replace(TASK, state=state)) == Leave()


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_is_not_due_any_more_is_left(state: State) -> None:
    assert answer(replace(TASK, state=state, due_at=NOW + 1)) == Leave()


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_is_held_or_waits_is_looked_at_again_a_grace_after_it_is_free(state: State) -> None:
    assert answer(replace(TASK, state=state, free_at=NOW + 7)) == Postpone(NOW + 7 + GRACE)


def test_a_scheduled_task_whose_time_has_come_is_sent_whatever_the_mark() -> None:
    task = replace(TASK, state=State.SCHEDULED, free_at=NOW, due_at=NOW, sent_at=NOW)
    assert answer(task, mark=0) == Send(NOW + 2 * INTERVAL)


@pytest.mark.parametrize("state", sorted(OPEN - {State.SCHEDULED}))
def test_what_the_queue_has_lost_is_sent_and_a_backlog_is_left(state: State) -> None:
    task = replace(TASK, state=state)
    assert answer(task, mark=task.sent_at + 60_001) == Send(NOW + GRACE)
    assert answer(task, mark=task.sent_at + 60_000) == Leave()
    assert answer(task, mark=0) == Leave()


@given(st.integers(0, 10_000))
def test_what_is_lost_again_and_again_is_looked_at_ever_more_rarely_up_to_a_limit(
    sweeps: int,
) -> None:
    one, next_ = (answer(replace(TASK, sweeps=sweeps + more)) for more in (0, 1))
    assert isinstance(one, Send)
    assert isinstance(next_, Send)
    assert NOW + GRACE <= one.due_at <= next_.due_at <= NOW + LONGEST


def test_the_looks_double_up_to_four_hours() -> None:
    answers = [answer(replace(TASK, sweeps=sweeps)) for sweeps in range(6)]
    assert [each.due_at - NOW for each in answers if isinstance(each, Send)] == [
        900_000,
        1_800_000,
        3_600_000,
        7_200_000,
        14_400_000,
        14_400_000,
    ]


def test_a_grace_below_a_minute_is_the_margin_of_the_mark() -> None:
    assert not is_lost(NOW, NOW + 5000, 5000)
    assert is_lost(NOW, NOW + 5001, 5000)


STARTS = st.integers(0, 2 * 10**9)


@given(STARTS, st.integers(0, 2 * 10**9))
def test_a_record_is_read_whenever_its_sweep_would_do_anything_about_its_message(
    delay: int, mark: int
) -> None:
    terms = Terms("https://queue", GRACE, 1)
    asked = Submission("a", None, "k", not_before=NOW - 10**9 + delay)
    task = plan(asked, terms, NOW - 10**9).task
    found = Overdue(task.id, task.queue, task.due_at, task.sent_at)
    if isinstance(answer(task, NOW - 10**9 + mark), Send):
        assert deserves_a_look(found, NOW - 10**9 + mark, GRACE)


def test_a_mere_backlog_is_not_read() -> None:
    found = Overdue("t1", "https://queue", TASK.due_at, TASK.sent_at)
    assert not deserves_a_look(found, TASK.sent_at + 60_000, GRACE)
    assert deserves_a_look(found, TASK.sent_at + 60_001, GRACE)
