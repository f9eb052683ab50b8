"""The states of a task and every way from one to another. This table is the rule.

Nothing else in ftq decides whether a state may follow another: statements, verdicts, fakes
and the diagrams in the docs are held against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ftq.errors import IllegalTransition


class State(StrEnum):
    """Where a task is in its life."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """What may happen to a task."""

    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    RELEASE = "release"
    DEAD_LETTER = "dead_letter"
    CANCEL = "cancel"
    PROMOTE = "promote"
    REDRIVE = "redrive"
    REVIVE = "revive"


FINAL: Final = frozenset({State.SUCCEEDED, State.DEAD, State.CANCELLED})
OPEN: Final = frozenset(State) - FINAL

TRANSITIONS: Final[Mapping[tuple[State, Move], State]] = {
    # Waiting: whoever gets there first runs it. A scheduled one is claimed only when a copy
    # of its message was out already as its time came.
    (State.QUEUED, Move.CLAIM): State.RUNNING,
    (State.SCHEDULED, Move.CLAIM): State.RUNNING,
    (State.RETRYING, Move.CLAIM): State.RUNNING,
    (State.SCHEDULED, Move.PROMOTE): State.QUEUED,
    (State.QUEUED, Move.CANCEL): State.CANCELLED,
    (State.SCHEDULED, Move.CANCEL): State.CANCELLED,
    (State.RETRYING, Move.CANCEL): State.CANCELLED,
    # Running: the holder of the claim settles it; a lapsed claim is taken over.
    (State.RUNNING, Move.CLAIM): State.RUNNING,
    (State.RUNNING, Move.COMPLETE): State.SUCCEEDED,
    (State.RUNNING, Move.RETRY): State.RETRYING,
    (State.RUNNING, Move.RELEASE): State.QUEUED,
    (State.RUNNING, Move.DEAD_LETTER): State.DEAD,
    (State.RUNNING, Move.CANCEL): State.CANCELLED,
    # Dead: only an operator brings it back, by the API or by moving its dead-letter copy.
    (State.DEAD, Move.REDRIVE): State.QUEUED,
    (State.DEAD, Move.REVIVE): State.RUNNING,
}


def follow(state: State, move: Move) -> State:
    """The state that a move leads to.

    Raises:
        IllegalTransition: The table has no such move from this state.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise IllegalTransition(f"a task that is {state} has no move {move}") from None
