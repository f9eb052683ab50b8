"""``python -m examples.nightly``: nights made up for by hand, one with a change of the clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.nightly.handlers import BERLIN, registry, report
from examples.nightly.shop import open_shop
from examples.stage import stage
from ftq import Tick
from ftq.schedule import next_after

SINCE = datetime(2026, 10, 23, tzinfo=UTC)
# In the night to the 25th of October clocks were put back: that day has 25 hours.
NIGHTS = [datetime(2026, 10, day, 3, tzinfo=BERLIN) for day in (25, 26, 27)]


def main() -> int:
    """Write some reports; 0 if they are there."""
    with TemporaryDirectory() as folder:
        database, reports = Path(folder, "shop.db"), Path(folder, "reports")
        reports.mkdir()
        open_shop(database, SINCE, 6)
        handlers = "examples.nightly.handlers:registry"
        with stage(handlers, SHOP_DB=str(database), REPORTS=str(reports)) as it:
            ids = {
                it.client.submit(report, Tick(scheduled_for=night.astimezone(UTC))).id: (
                    f"{night:%d %b}, by hand"
                )
                for night in NIGHTS
            }
            tasks = it.follow(ids, "Reports that nobody was there for, made up for")
            it.console.print("By itself it will run, as long as a daemon is there:")
            (schedule,), now = registry.schedules, time.time_ns() // 1_000_000
            for _ in range(3):
                now = next_after(schedule, now)
                at = datetime.fromtimestamp(now / 1000, BERLIN)
                it.console.print(f"  {at:%a %d %b %Y %H:%M %Z}", markup=False)
            written = sorted(each.name for each in reports.iterdir())
    days = [f"{night.date() - timedelta(days=1)}.csv" for night in NIGHTS]
    return 0 if written == days and {task.state for task in tasks} == {"succeeded"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
