"""Which outcome of a request stands, and when it is sent again."""

from __future__ import annotations

import pytest

from ftq import RetryPolicy
from ftq.client.exchange import LONGEST_PAUSE, Lost, Outcome, Reply, next_try

POLICY = RetryPolicy(attempts=3, base=1, cap=8)
UNSENT, SENT = Lost("refused", sent=False), Lost("slow", sent=True)


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}")


@pytest.mark.parametrize("outcome", [UNSENT, SENT, *map(reply, (429, 502, 503, 504))], ids=str)
def test_what_may_pass_is_sent_again_if_it_may_be_done_twice(outcome: Outcome) -> None:
    assert next_try(POLICY, 1, True, outcome, 0.5) == 0.5


@pytest.mark.parametrize("status", [200, 202, 301, 400, 404, 409, 413, 422, 500, 501])
def test_any_other_answer_stands(status: int) -> None:
    assert next_try(POLICY, 1, True, reply(status), 0.5) is None


@pytest.mark.parametrize("outcome", [SENT, *map(reply, (502, 503, 504))], ids=str)
def test_what_must_not_be_done_twice_is_not_sent_again_if_it_may_be_done(outcome: Outcome) -> None:
    assert next_try(POLICY, 1, False, outcome, 0.5) is None


@pytest.mark.parametrize("outcome", [UNSENT, reply(429)], ids=str)
def test_what_surely_was_not_done_is_sent_again_whatever_it_is(outcome: Outcome) -> None:
    assert next_try(POLICY, 1, False, outcome, 0.5) == 0.5


@pytest.mark.parametrize(("tried", "wait"), [(1, 0.25), (2, 0.5), (3, None), (4, None)])
def test_waits_grow_until_the_tries_are_over(tried: int, wait: float | None) -> None:
    assert next_try(POLICY, tried, True, SENT, 0.25) == wait


def test_the_jitter_is_full() -> None:
    assert next_try(POLICY, 2, True, SENT, 0.0) == 0
    assert next_try(POLICY, 2, True, SENT, 0.999) == pytest.approx(1.998)


def test_a_retry_after_is_kept_and_spread() -> None:
    assert next_try(POLICY, 1, True, reply(503, retry_after="2"), 0.5) == 2.5


def test_a_retry_after_with_a_date_is_read_by_the_answers_own_clock() -> None:
    date, later = "Tue, 24 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 2026 12:00:07 GMT"
    assert next_try(POLICY, 1, True, reply(503, retry_after=later, date=date), 0.0) == 7
    assert next_try(POLICY, 1, True, reply(503, retry_after=date, date=later), 0.0) == 0


@pytest.mark.parametrize("said", ["", "soon", "-1", "1.5", "²", "Tue, 24 Nov 2026 12:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_none(said: str) -> None:
    assert next_try(POLICY, 1, True, reply(503, retry_after=said), 0.5) == 0.5


def test_nobody_waits_longer_than_the_limit() -> None:
    assert next_try(POLICY, 1, True, reply(503, retry_after=f"{LONGEST_PAUSE:.0f}"), 0) == 60
    assert next_try(POLICY, 1, True, reply(503, retry_after="61"), 0) is None
    assert next_try(POLICY, 1, True, reply(503, retry_after="9" * 400), 0) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'"text"'])
def test_a_reply_that_is_no_json_object_is_no_document(body: bytes) -> None:
    assert Reply(200, {}, body).document() is None
