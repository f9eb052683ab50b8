"""``python -m tests.simulation --seeds 0..1999``: play seeds, or a single one again."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.batch import Batch, play_among, workers

# Enough of them to see whether they have one cause.
_MOST_REPORTS = 5


def _seeds(text: str) -> range:
    first, dots, last = text.partition("..")
    return range(int(first), int(last if dots else first) + 1)


def main() -> int:
    """Play them all; 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, required=True, help="A..B, both included, or one")
    parser.add_argument("--jobs", type=int, default=0, help="processes; as processors if left out")
    parser.add_argument("--seen", action="store_true", help="list how often each thing happened")
    asked = parser.parse_args()
    began, batch = time.monotonic(), Batch()
    with workers(min(asked.jobs, len(asked.seeds)) or (1 if len(asked.seeds) == 1 else 0)) as pool:
        for share in play_among(pool, asked.seeds):
            for failure in share.failures[: max(0, _MOST_REPORTS - len(batch.failures))]:
                sys.stdout.write(f"{failure.report}\n\n")
            batch.add(share)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{batch.played} played, {len(batch.failures)} failed")
    if asked.seen:
        for name, count in batch.seen.most_common():
            sys.stdout.write(f"{count:8} {name}\n")
    failed = " ".join(str(failure.seed) for failure in batch.failures[:50])
    took = time.monotonic() - began
    sys.stdout.write(f"{batch.played} schedules in {took:.0f} s; failed: {failed or 'none'}\n")
    return 1 if batch.failures else 0


if __name__ == "__main__":
    sys.exit(main())
