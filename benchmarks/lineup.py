"""All sides, in the order of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.side import Side
from benchmarks.sides import floor, ftq_daemon, naive, peers, probe

SIDES: Final[Mapping[str, Side]] = {
    side.name: side
    for side in (
        ftq_daemon.SIDE,
        ftq_daemon.QUIET,
        ftq_daemon.AIOBOTOCORE,
        probe.SIDE,
        floor.SIDE,
        naive.SIDE,
        *peers.SIDES,
    )
}
BASELINE: Final = naive.SIDE.name
