"""Who claims, and the record as a granted claim leaves it."""

from __future__ import annotations

from dataclasses import replace

from ftq.lifecycle import Move, State, follow
from ftq.task import Entry, Task, remember
from ftq.value import value


@value(frozen=True, slots=True)
class Claimant:
    """Who claims, and how.

    Attributes:
        by: The daemon.
        token: Fresh and random for each claim, so that a lost reply can be told from a loss.
        now: Milliseconds since the epoch.
        lease_end: Until when, in milliseconds since the epoch.
    """

    by: str
    token: str
    now: int
    lease_end: int


def claimed(before: Task, who: Claimant) -> Task:
    """The record as a granted claim leaves it."""
    # dataclasses.replace() takes four times as long, and this is done for each task.
    return Task(
        before.id,
        before.type,
        before.queue,
        follow(before.state, Move.CLAIM),
        before.fingerprint,
        before.correlation_id,
        before.tenant,
        before.created_at,
        before.not_before,
        who.now,
        who.lease_end,
        before.claim_no + 1,
        before.past,
        before.attempts,
        before.releases,
        who.by,
        who.token,
        before.sent_at,
        before.sweeps,
        before.due_at,
        before.expires_at,
        before.cancel_requested,
        before.payload,
        before.result,
        before.progress,
        before.cause,
        before.last_error,
        before.history,
        before.trace,
    )


def redriven(dead: Task, by: str, now: int) -> tuple[Entry, ...]:
    """The history of a dead task that gets one more life (R3), whoever gives it.

    Args:
        dead: The task at its death.
        by: Who gives it; the daemon to which a dead-letter copy came back.
        now: When, in milliseconds since the epoch.
    """
    return remember(dead.history, Entry(dead.claim_no, by, now, "redriven"))


def revived(dead: Task, who: Claimant, grace: int) -> Task:
    """The record as a granted revival leaves it: a claim at the start of a new life."""
    fresh = replace(
        dead,
        state=State.QUEUED,
        past=dead.claim_no,
        attempts=0,
        releases=0,
        sweeps=0,
        cause="",
        sent_at=who.now,
        due_at=who.now + grace,
        expires_at=0,
        cancel_requested=0,
        history=redriven(dead, who.by, who.now),
    )
    return claimed(fresh, who)
