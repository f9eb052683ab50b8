"""Do claims and settles cost more when payloads are large?

    python -m benchmarks.payload

Nothing is run: the statements are applied to real records, and weighed by DynamoDB's rules.
"""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.capacity import Writes, writes_of
from benchmarks.plots import Line, lines
from benchmarks.report import write

SIZES: Final = (64, 900, 4 * 1024, 16 * 1024, 64 * 1024, 200 * 1024)


def _show(found: list[Writes]) -> None:
    table = Table(title="Write units of a happy task", box=box.SIMPLE)
    for name in ("payload bytes", "submit", "payload beside", "claim", "settle"):
        table.add_column(name, justify="right")
    for each in found:
        figures = (each.payload, each.submit, each.beside, each.claim, each.settle)
        table.add_row(*(f"{figure:,}" for figure in figures))
    Console().print(table)


def main() -> None:
    """Weigh, print a table, write the JSON and the plot."""
    found = [writes_of(size) for size in SIZES]
    _show(found)
    path = write("payload", found)
    drawn = [
        Line(
            "claim and settle", [(each.payload / 1024, each.claim + each.settle) for each in found]
        ),
        Line(
            "submit, payload included",
            [(each.payload / 1024, each.submit + each.beside) for each in found],
        ),
    ]
    print(path, *lines(path, "Write units of a happy task", ("payload, KiB", "write units"), drawn))


if __name__ == "__main__":
    main()
