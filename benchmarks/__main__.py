"""``python -m benchmarks``: every question in turn, or one by name.

python -m benchmarks                                  all, as they are meant to be run
python -m benchmarks --quick                          all, only to see that they work
python -m benchmarks throughput --sides ftq naive     one, with arguments of its own
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

WHOLE: Final[Mapping[str, Sequence[str]]] = {
    "throughput": ("--on", "stub", "ministack"),
    "idle": (),
    "steady": (),
    "backlog": (),
    "payload": (),
    "processes": (),
    "cost": (),
    "cold": (),
    "promises": (),
}
QUICK: Final[Mapping[str, Sequence[str]]] = {
    "throughput": ("--on", "stub", "--tasks", "1000", "--runs", "1"),
    "idle": ("--tasks", "20", "--quiet", "3"),
    "steady": ("--tasks", "2000"),
    "backlog": ("--backlogs", "500", "5000", "--runs", "1"),
    "payload": (),
    "processes": ("--tasks", "300", "--runs", "1"),
    "cost": (),
    "cold": ("--starts", "2"),
    "promises": (),
}


def _run(name: str, arguments: Sequence[str]) -> bool:
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments])
    print(f"{name}: {time.monotonic() - began:.0f} s, exit {ended.returncode}", flush=True)
    return ended.returncode == 0


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 0 if all of it worked."""
    if arguments and arguments[0] in WHOLE:
        return 0 if _run(arguments[0], arguments[1:]) else 1
    if arguments not in ([], ["--quick"]):
        print(__doc__, f"Programs: {', '.join(WHOLE)}", file=sys.stderr, sep="\n")
        return 2
    plan = QUICK if arguments else WHOLE
    worked = [_run(name, each) for name, each in plan.items()]
    return 0 if all(worked) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
