"""Metrics of several processes are added up as a person would."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ftq.breaker import Position
from ftq.lifecycle import State
from ftq.registry import Registry
from ftq.task import Task
from ftq_daemon import events as facts
from ftq_daemon.fleet.sums import Sums
from ftq_daemon.sinks.metrics import Metrics
from ftq_daemon.sinks.tally import Gauges, Tally

TASK = Task("t1", "mail", "q", State.RUNNING)


def exposition(done: int, inflight: int, breaker: Position) -> str:
    registry = Registry()

    @registry.handler("mail")
    async def mail(_: dict[str, str]) -> None: ...

    tally = Tally(registry)
    metrics = Metrics(tally, Gauges(lambda: inflight, lambda: 64, lambda: {"smtp": breaker}))
    for _ in range(done):
        tally(facts.Succeeded(TASK, 0.02, 1.0))
    return metrics.render().decode()


def values(text: str) -> dict[str, float]:
    return {
        " ".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts_are_added_and_a_breaker_is_as_open_as_the_most_open() -> None:
    sums = Sums()
    sums.add(exposition(2, 3, Position.CLOSED))
    sums.add(exposition(5, 4, Position.HALF_OPEN))
    got = values(sums.render())
    assert got["ftq_tasks_total succeeded mail"] == 7
    assert got["ftq_task_seconds_bucket 0.05 mail"] == 7
    assert got["ftq_task_seconds_bucket 0.01 mail"] == 0
    assert got["ftq_inflight"] == 7
    assert got["ftq_breaker_state smtp"] == 1


def test_of_a_process_that_is_gone_only_what_it_counted_stays() -> None:
    sums = Sums()
    sums.add(exposition(2, 3, Position.OPEN), counted_only=True)
    again = Sums()
    again.add(sums.render())
    again.add(exposition(1, 1, Position.CLOSED))
    got = values(again.render())
    assert got["ftq_tasks_total succeeded mail"] == 3
    assert (got["ftq_inflight"], got["ftq_breaker_state smtp"]) == (1, 0)
