"""`ftq.task`: the record as a value, its counters, and how its errors group."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftq.lifecycle import FINAL, Move, State, follow
from ftq.limits import ERROR_MESSAGE_CHARS, HISTORY_ENTRIES, SHARDS
from ftq.shape import shape_of
from ftq.task import (
    Entry,
    Task,
    bucket_in,
    bucket_of,
    failure,
    fingerprint_of,
    payload_key,
    remember,
    shard_of,
)

FRESH = Task("t1", "email.send", "https://queue", State.QUEUED)


def claimed(task: Task) -> Task:
    """What R5 makes of a record."""
    return replace(task, state=follow(task.state, Move.CLAIM), claim_no=task.claim_no + 1)


def settled(task: Task, move: Move, counter: str) -> Task:
    """What a settle makes of a record: R6's counter, if any."""
    state = follow(task.state, move)
    return replace(
        task,
        state=state,
        attempts=task.attempts + (counter == "attempts"),
        releases=task.releases + (counter == "releases"),
    )


def redriven(task: Task, move: Move) -> Task:
    """What R3 makes of a dead record; a revival is a claim too."""
    state = follow(task.state, move)
    claims = task.claim_no + (move is Move.REVIVE)
    return replace(task, state=state, past=task.claim_no, claim_no=claims, attempts=0, releases=0)


SETTLES = [
    (Move.COMPLETE, ""),
    (Move.RETRY, "attempts"),
    (Move.RETRY, "releases"),
    (Move.RELEASE, "releases"),
    (Move.DEAD_LETTER, "attempts"),
    (Move.DEAD_LETTER, "releases"),
    (Move.CANCEL, "releases"),
]
STEPS = st.lists(
    st.sampled_from(["claim", "redrive", "revive", "cancel"]) | st.sampled_from(SETTLES),
    max_size=40,
)


@given(STEPS)
def test_crashes_are_the_claims_of_this_life_that_lapsed(
    steps: list[str | tuple[Move, str]],
) -> None:
    task, lapsed, failed = FRESH, 0, 0
    for step in steps:
        if step == "claim" and not task.final:
            # To claim what is running is to take over from a holder that went silent.
            lapsed += task.state is State.RUNNING
            task = claimed(task)
        elif step in ("redrive", "revive") and task.state is State.DEAD:
            task = redriven(task, Move.REDRIVE if step == "redrive" else Move.REVIVE)
            lapsed = failed = 0
        elif step == "cancel" and not task.final:
            # From outside: a running one only once its lease is over, so its holder crashed.
            lapsed += task.state is State.RUNNING
            task = replace(task, state=follow(task.state, Move.CANCEL))
        elif isinstance(step, tuple) and task.state is State.RUNNING:
            failed += step[1] == "attempts"
            task = settled(task, *step)
        assert (task.crashes, task.attempts) == (lapsed, failed)
        assert task.attempt == failed + 1


@pytest.mark.parametrize("state", list(State))
def test_a_task_is_final_in_the_final_states(state: State) -> None:
    assert replace(FRESH, state=state).final is (state in FINAL)


@given(st.lists(st.integers(), max_size=60))
def test_the_history_keeps_the_latest_entries_in_order(numbers: list[int]) -> None:
    history: tuple[Entry, ...] = ()
    for number in numbers:
        history = remember(history, Entry(number, "d", 0, "raised"))
    assert [entry.claim_no for entry in history] == numbers[-HISTORY_ENTRIES:]


def test_an_entry_is_shown_with_all_it_holds() -> None:
    assert Entry(3, "d1", 9, "raised", "KeyError", 12).to_json() == {
        "claim_no": 3,
        "by": "d1",
        "at": 9,
        "outcome": "raised",
        "class": "KeyError",
        "ms": 12,
    }


@given(st.text())
def test_a_shard_is_one_of_sixteen_and_always_the_same(task_id: str) -> None:
    assert 0 <= shard_of(task_id) == shard_of(task_id) < SHARDS


def test_ids_spread_over_all_shards() -> None:
    assert {shard_of(f"task-{number}") for number in range(400)} == set(range(SHARDS))


def test_the_shard_of_an_id_is_pinned_for_records_already_stored() -> None:
    assert [shard_of(task_id) for task_id in ("t1", "a", "task-1")] == [7, 3, 15]


@pytest.mark.parametrize(
    ("state", "prefix"),
    [
        (State.QUEUED, "open"),
        (State.SCHEDULED, "open"),
        (State.RUNNING, "open"),
        (State.RETRYING, "open"),
        (State.SUCCEEDED, "done"),
        (State.CANCELLED, "done"),
        (State.DEAD, "dead"),
    ],
)
def test_a_task_is_indexed_by_what_may_become_of_it(state: State, prefix: str) -> None:
    assert bucket_of("t1", state) == f"{prefix}#{shard_of('t1'):02d}"
    assert [bucket_in(shard, state) for shard in (0, 15)] == [f"{prefix}#00", f"{prefix}#15"]


def test_the_key_of_a_payload_beside_cannot_be_a_task_id() -> None:
    assert payload_key("t1", "0123456789abcdef0") == "t1#payload#0123456789abcdef"


@given(st.text(max_size=2000) | st.text(st.characters(), max_size=20))
def test_a_failure_keeps_its_message_within_bounds_and_storable(message: str) -> None:
    kept = failure("exception", "ValueError", message)
    assert len(kept.message) <= ERROR_MESSAGE_CHARS
    assert kept.message.encode().decode() == kept.message
    if len(message) <= ERROR_MESSAGE_CHARS and message.isascii():
        assert kept.message == message


def test_a_long_message_is_cut_visibly() -> None:
    kept = failure("exception", "ValueError", "x" * (ERROR_MESSAGE_CHARS + 1))
    assert kept.message == "x" * (ERROR_MESSAGE_CHARS - 1) + "…"
    assert failure("e", "E", "x" * ERROR_MESSAGE_CHARS).message == "x" * ERROR_MESSAGE_CHARS


def test_a_lone_surrogate_in_a_message_becomes_a_question_mark() -> None:
    assert failure("exception", "OSError", "no file \udce9").message == "no file ?"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user 17 not found", "user 4211 not found"),
        ("took 1.5 s", "took 30 s"),
        ("no row 'alice'", "no row 'bob and others'"),
        ('no row "alice"', 'no row "bob"'),
        ("can't find user 'alice'", "can't find user 'bob'"),
        ("it's 'a', isn't it", "it's 'b', isn't it"),
        ("bad bytes b'ab' here", "bad bytes b'xyz' here"),
        (
            "order 5f0c1d9e-8f6b-4d2f-9a53-0c7b1a2d3e4f is gone",
            "order 00000000-1111-2222-3333-444444444444 is gone",
        ),
        ("<Foo object at 0x7f3a2b4c5d60>", "<Foo object at 0x55d0c0ffee10>"),
        ("commit 9fceb02d0ae598e9", "commit e83c5163316f89bf"),
        (
            "task mzxw6ytboi2gk3tfmfxgs3tfmf4w64te is gone",
            "task nbswy3dpfqqho33snrscc2lomrxwe4tf is gone",
        ),
        ("id 01ARZ3NDEKTSV4RRFFQ69G5FAV", "id 01BX5ZZKBKACTAV9WEVGEMMVRZ"),
        ("at 2025-11-24 08:33:12", "at 2026-01-02 23:59:59"),
        ("10.0.0.1:5432 refused", "192.168.17.2:6432 refused"),
        ("10.0.0.1:5432 refused", "fe80::1 refused"),
        ("order a1b2c3 missing", "order d4e5f6 missing"),
        ("order ORD-17-X missing", "order ORD-9 missing"),
        ("user ann@example.org unknown", "user bob@mail.example.com unknown"),
        ("no deadbeefcafebabe here", "no cafebabedeadbeef here"),
        ("no row “alice”", "no row “bob”"),
        ("-5 is below 1e-10", "5 is below 2"),
        ("failed at 7.", "failed at 12."),
        ("no such file: /tmp/in/a.csv", "no such file: /var/spool/other.json"),
        ("no such file: ./a.csv", "no such file: ~/b.csv"),
        ("cannot open data/a.csv: denied", "cannot open other/dir/b.csv: denied"),
        (r"cannot open C:\Users\ann\a.txt", r"cannot open \\share\b"),
        ("timeout: https://a.example/x?y=z#top", "timeout: http://b.example:8080"),
        ("read s3://one/key, then failed", "read s3://another/some/key.json, then failed"),
        ("with url: /users?name=ann (Caused by x)", "with url: /users?name=bob (Caused by x)"),
        ("wrote 1,234 rows", "wrote 7 rows"),
        ("wrote 1,234,567 rows", "wrote 12 rows"),
        ("no row `alice`", "no row `bob`"),
        ("cannot stat `alice': none", "cannot stat `bob': none"),
        ("no row ‘it’s’ here", "no row ‘bob’ here"),
        ("no row «alice»", "no row «bob»"),
        (r"no row 'it\'s' here", "no row 'bob' here"),
        (r'no row "say \"no\"" here', 'no row "bob" here'),
        ("no row 'it's' here", "no row 'bob' here"),
        ("commit deadbeef gone", "commit cafebabe gone"),
        ("task mzxwcytboibgkbtf gone", "task nbswkydpfqqhodtt gone"),
        ("task MZXWCYTBOIBGKBTF gone", "task NBSWKYDPFQQHODTT gone"),
        ("bad '" + "x" * 3_000 + "' here", "bad '" + "y" * 9_000 + "' here"),
        ("bad '" + "x" * 30_000 + "' here", "bad '" + "y" * 40_000 + "' here"),
        ("lines: " + "17 " * 2_000, "lines: " + "123456 " * 2_000),
    ],
)
def test_errors_that_differ_in_ids_numbers_or_names_are_one_group(one: str, other: str) -> None:
    assert fingerprint_of("exception", "E", one) == fingerprint_of("exception", "E", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("exception", "KeyError", "'a'"), ("exception", "ValueError", "'a'")),
        (("exception", "KeyError", "'a'"), ("timeout", "KeyError", "'a'")),
        (("exception", "E", "user not found"), ("exception", "E", "order not found")),
        (("exception", "E", "can't read, won't do"), ("exception", "E", "can't see, won't do")),
        (("exception", "E", "a facade"), ("exception", "E", "a decade")),
        (("exception", "E", "row 7: not found"), ("exception", "E", "row 7: not ready")),
        (("exception", "E", "read/write error"), ("exception", "E", "send/receive error")),
        (("exception", "E", "HTTP/1.1 refused"), ("exception", "E", "SMTP/1.1 refused")),
        (("exception", "E", "PERMISSION_DENIED"), ("exception", "E", "RESOURCE_EXHAUSTED")),
        (("exception", "E", "downstream failed"), ("exception", "E", "upstream failed")),
        (("exception", "E", "the 'n roll: not found"), ("exception", "E", "the 'n roll: no")),
        (("exception", "E", "/srv/a: not found"), ("exception", "E", "/srv/a: not ready")),
        (("exception", "E", "https://a/b: refused"), ("exception", "E", "https://a/b: gone")),
        (
            ("exception", "E", "bad '" + "x" * 9_000 + "': not found"),
            ("exception", "E", "bad '" + "x" * 9_000 + "': not ready"),
        ),
    ],
)
def test_errors_of_another_class_kind_or_wording_are_other_groups(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert fingerprint_of(*one) != fingerprint_of(*other)


# What the patterns look for, and what might make them look again and again.
PIECES = [
    "'", '"', "`", "“", "‘", "’", "«", "\\", "\\'", "b'", "’a", "é", "(", "?", "/", "./", "~/",
    ":/", "C:\\", "x://", "/a?", "a/", "a.", "a,", "1,", "....", "-.", "fg", "FG", "bcdfgh",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("apart", ["", " "])
def test_the_time_for_a_fingerprint_grows_with_the_message_and_no_faster(
    piece: str, apart: str
) -> None:
    text = (piece + apart) * 20_000
    shape_of(text)  # whatever is compiled or cached is so now
    began = time.process_time()
    shape_of(text)
    # A pass or two is 10 ms; its square would be minutes.
    assert time.process_time() - began < 0.5


@given(st.text(st.characters(), max_size=50))
def test_a_fingerprint_is_twelve_hex_digits_of_any_message(message: str) -> None:
    assert set(fingerprint_of("k", "C", message)) <= set("0123456789abcdef")
    assert len(fingerprint_of("k", "C", message)) == 12


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_any_two_numbers_are_one_group(one: int, other: int) -> None:
    assert fingerprint_of("k", "C", f"row {one}") == fingerprint_of("k", "C", f"row {other}")


def test_the_evidence_outlives_any_number_of_releases() -> None:
    crashed = [Entry(n, "d", n, "crashed") for n in (1, 2)]
    history: tuple[Entry, ...] = tuple(crashed)
    for n in range(3, 100):
        history = remember(history, Entry(n, "d", n, "released"))
    history = remember(history, Entry(100, "d", 100, "crashed"))
    assert len(history) == HISTORY_ENTRIES
    assert [entry.claim_no for entry in history if entry.outcome == "crashed"] == [1, 2, 100]
    assert [entry.claim_no for entry in history] == sorted(entry.claim_no for entry in history)
