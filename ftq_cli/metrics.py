"""What the daemons' own metrics say, added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over daemons.

    Attributes:
        calls: AWS calls.
        succeeded: Claims that ended in success.
    """

    calls: int = 0
    succeeded: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.calls + other.calls, self.succeeded + other.succeeded)


def read(exposition: str) -> Totals:
    """Read one daemon's exposition."""
    calls = succeeded = 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "ftq_aws_calls_total":
                calls += sample.value
            elif sample.name == "ftq_tasks_total" and sample.labels["outcome"] == "succeeded":
                succeeded += sample.value
    return Totals(round(calls), round(succeeded))


async def totals(session: aiohttp.ClientSession, health_urls: Iterable[str]) -> Totals | None:
    """The sums of these daemons; None if one of them does not answer."""
    found = Totals()
    for url in health_urls:
        try:
            async with session.get(f"{url}/metrics", timeout=aiohttp.ClientTimeout(5)) as response:
                found += read(await response.text())
        except (aiohttp.ClientError, TimeoutError):
            return None
    return found
