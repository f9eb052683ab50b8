"""`ftq.context`: what a handler is told, and how it speaks back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator

import pytest

from ftq.context import Context, Signals
from ftq.limits import PROGRESS_BYTES
from ftq.text import Json


class Reported:
    """Takes progress as the daemon would: the call is enough, awaiting it is up to the handler."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> Reported:
        self.texts.append(text)
        return self

    def __await__(self) -> Generator[None, None, None]:
        yield


def context(signals: Signals, report: Callable[[str], Awaitable[None]]) -> Context:
    return Context("t1", "email.send", 2, 7, 1.5, "c1", "acme", signals, report)


def test_signals_set_under_a_running_attempt_are_seen_by_it() -> None:
    signals = Signals()
    attempt = context(signals, Reported())
    assert (attempt.stopping, attempt.lost) == (False, False)
    signals.tell(stopping=True)
    assert (attempt.stopping, attempt.lost) == (True, False)
    signals.tell(lost=True)
    assert (attempt.stopping, attempt.lost) == (True, True), "what was said once stays said"


def test_whoever_listens_to_the_signals_is_told_of_each_change() -> None:
    heard: list[tuple[bool, bool]] = []
    signals = Signals(listener=lambda: heard.append((signals.stopping, signals.lost)))
    signals.tell(stopping=True)
    signals.tell(lost=True)
    assert heard == [(True, False), (True, True)]


def test_progress_is_on_its_way_as_soon_as_it_is_called() -> None:
    reported = Reported()
    _ = context(Signals(), reported).progress({"b": 1, "a": "é"})
    assert reported.texts == ['{"a":"é","b":1}']


def test_progress_of_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    reported = Reported()
    _ = context(Signals(), reported).progress("x" * (PROGRESS_BYTES - 2))
    with pytest.raises(ValueError, match="1025"):
        _ = context(Signals(), reported).progress("x" * (PROGRESS_BYTES - 1))
    assert len(reported.texts) == 1


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_progress_that_cannot_be_stored_is_refused_on_the_spot(value: Json) -> None:
    with pytest.raises(ValueError, match=r"JSON|utf-8"):
        _ = context(Signals(), Reported()).progress(value)
