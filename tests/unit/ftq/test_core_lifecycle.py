"""`ftq.lifecycle`: the table of transitions is the rule."""

from __future__ import annotations

from itertools import product

import pytest

from ftq.errors import IllegalTransition
from ftq.lifecycle import FINAL, OPEN, TRANSITIONS, Move, State, follow


@pytest.mark.parametrize(("state", "move"), list(product(State, Move)))
def test_a_move_follows_the_table_or_is_refused(state: State, move: Move) -> None:
    if (state, move) in TRANSITIONS:
        assert follow(state, move) is TRANSITIONS[state, move]
    else:
        with pytest.raises(IllegalTransition, match=f"{state}.*{move}"):
            follow(state, move)


def test_final_is_final_but_for_an_operator_on_a_dead_task() -> None:
    assert {pair for pair in TRANSITIONS if pair[0] in FINAL} == {
        (State.DEAD, Move.REDRIVE),
        (State.DEAD, Move.REVIVE),
    }


def test_open_and_final_states_are_all_states() -> None:
    assert set(State) == OPEN | FINAL
    assert not OPEN & FINAL


def test_every_open_state_can_be_claimed_and_cancelled() -> None:
    assert {state for state, move in TRANSITIONS if move is Move.CLAIM} == OPEN
    assert {state for state, move in TRANSITIONS if move is Move.CANCEL} == OPEN


def test_only_the_holder_of_a_claim_ends_a_task_otherwise_than_by_cancelling() -> None:
    into_final = {pair for pair, after in TRANSITIONS.items() if after in FINAL}
    assert {state for state, move in into_final if move is not Move.CANCEL} == {State.RUNNING}


def test_every_move_leads_to_one_state_wherever_it_starts() -> None:
    for move in Move:
        assert len({after for pair, after in TRANSITIONS.items() if pair[1] is move}) == 1


def test_every_state_is_reached_from_the_two_that_a_task_is_accepted_in() -> None:
    reached = {State.QUEUED, State.SCHEDULED}
    for _ in State:
        reached |= {after for (state, _), after in TRANSITIONS.items() if state in reached}
    assert reached == set(State)


def test_the_words_stored_are_pinned() -> None:
    assert [str(state) for state in State] == [
        "queued",
        "scheduled",
        "running",
        "retrying",
        "succeeded",
        "dead",
        "cancelled",
    ]
