"""What `GET /stats` says, as values (docs/reference/http.md)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AwareDatetime

from ftq.client.answers import Answer


class Depth(Answer):
    """SQS's own approximate numbers of a queue."""

    name: str
    visible: int = 0
    in_flight: int = 0
    delayed: int = 0


class Count(Answer):
    """How many tasks a group of states has; if not `exact`, at least so many."""

    count: int
    exact: bool = True


class Breaker(Answer):
    """A circuit breaker over all daemons.

    Attributes:
        name: Its name.
        position: The worst that a live daemon sees: closed, half_open or open.
        openings: The most that one has counted since it last closed.
        daemons: How many see it in which position.
    """

    name: str
    position: str
    openings: int = 0
    daemons: Mapping[str, int] = {}


class Daemon(Answer):
    """What a daemon last said of itself.

    Attributes:
        name: Its name.
        version: Its version.
        queue: The queue that it serves.
        started_at: When it started.
        reported_at: When it last said so.
        age_seconds: How long that is ago.
        stale: Whether that is too long: it was killed, or cannot write.
        draining: Whether it is stopping.
        concurrency: How many tasks it runs at once at most.
        in_flight: How many it runs.
    """

    name: str
    version: str = ""
    queue: str = ""
    started_at: AwareDatetime | None = None
    reported_at: AwareDatetime | None = None
    age_seconds: float = 0
    stale: bool = False
    draining: bool = False
    concurrency: int = 0
    in_flight: int = 0


class Stats(Answer):
    """How everything is at a moment; put together from several reads, so it is no snapshot.

    Attributes:
        at: When, by the API's clock.
        queues: The queues that tasks go to.
        dead_letter_queue: The dead-letter queue; None unless the API knows it.
        oldest_age_seconds: How long the longest waiting task has been due; None if none waits.
        counts: Tasks by state.
        exact: Whether `counts` is all; if not, each is a lower bound.
        groups: ``open``, ``done`` and ``dead``.
        breakers: The circuit breakers.
        daemons: The daemons, the one that reported last first.
    """

    at: AwareDatetime
    queues: tuple[Depth, ...] = ()
    dead_letter_queue: Depth | None = None
    oldest_age_seconds: float | None = None
    counts: Mapping[str, int] = {}
    exact: bool = True
    groups: Mapping[str, Count] = {}
    breakers: tuple[Breaker, ...] = ()
    daemons: tuple[Daemon, ...] = ()
