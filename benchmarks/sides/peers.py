"""Other projects' workers, each at its best at-least-once settings that its documentation gives.

They live in `.venv-bench` (`make .venv-bench/.installed`) and in `benchmarks/peers`, log warnings
only, and keep no records. Their messages are made by their own clients.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.letters import Letters, send_plain
from benchmarks.side import Side

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = ROOT / "benchmarks" / "peers"
PYTHON: Final = str(ROOT / ".venv-bench" / "bin" / "python")
NODE: Final = "node"
_TOLD: Final = {"PYTHONPATH": str(PROGRAMS), "PYTHONWARNINGS": "ignore"}
# One probe a module is enough for all runs of a program.
PROBE_SECONDS: Final = 60


def _peer(program: str, name: str, says: str, needs: str, command: Sequence[str]) -> Side:
    """A peer in Python.

    Args:
        program: Its file, which also sends when told so.
        name: As it stands in tables.
        says: How it is set up.
        needs: The module that has to be installed.
        command: What runs it, after Python.
    """
    path = str(PROGRAMS / program)
    environment = {**_TOLD, "DJANGO_SETTINGS_MODULE": "with_django"}
    return Side(
        name=name,
        says=says,
        command=tuple(path if word == program else word for word in command),
        environment=environment,
        stateful=False,
        load=Letters((PYTHON, path, "send"), environment),
        interpreter=PYTHON,
        kind="other peer" if needs == "fanferro" else "python peer",
        slow=needs != "fanferro",
        missing=missing_module(needs),
    )


def missing_module(name: str) -> Callable[[], str]:
    """Tells why a module cannot be imported in the peers' environment; empty if it can."""
    probe = (
        "import platform, sys\n"
        f"try: import {name}\n"
        "except ImportError as error: sys.exit(f'{error} (Python {platform.python_version()})')"
    )
    return lambda: _refusal((PYTHON, "-c", probe))


def _missing_node() -> str:
    if refusal := _refusal((NODE, "--version")):
        return refusal
    installed = (PROGRAMS / "node_modules" / "sqs-consumer").exists()
    return "" if installed else "its packages are not installed"


@lru_cache
def _refusal(command: tuple[str, ...]) -> str:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment
        )
    except FileNotFoundError:
        return f"there is no {Path(command[0]).relative_to(ROOT) if command[0] == PYTHON else NODE}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if found.returncode == 0 else found.stderr.strip().splitlines()[-1]


CELERY: Final = _peer(
    "with_celery.py",
    "celery",
    "late acknowledgement, gevent pool of 20, long polls",
    "celery",
    (
        *("-m", "celery", "-A", "with_celery", "worker", "--pool", "gevent", "--concurrency", "20"),
        *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
)
DRAMATIQ: Final = _peer(
    "with_dramatiq.py",
    "dramatiq-sqs",
    "one process of 8 threads",
    "dramatiq_sqs",
    ("-m", "dramatiq", "with_dramatiq", "--processes", "1", "--threads", "8"),
)
TASKIQ: Final = _peer(
    "with_taskiq.py",
    "taskiq-aio-sqs",
    "one process, receives of ten, deleted when executed",
    "taskiq_aio_sqs",
    (
        *("-m", "taskiq", "worker", "with_taskiq:broker", "--workers", "1", "--log-level"),
        *("WARNING", "--ack-type", "when_executed", "--max-prefetch", "100"),
    ),
)
DJANGO: Final = _peer(
    "with_django.py",
    "django-tasks-sqs",
    "four threads, receives of ten, no heartbeat",
    "django_tasks_sqs",
    (
        *("with_django.py", "sqs_worker", "--concurrency", "4", "--max-messages", "10"),
        "--no-heartbeat",
    ),
)
FANFERRO: Final = _peer(
    "with_fanferro.py",
    "fanferro",
    "a Rust core; 64 at once, on uvloop",
    "fanferro",
    ("with_fanferro.py", "work"),
)
SQS_CONSUMER: Final = Side(
    name="sqs-consumer",
    says="Node; four consumers in batch mode",
    command=(str(PROGRAMS / "with_sqs_consumer.mjs"),),
    stateful=False,
    load=send_plain,
    interpreter=NODE,
    kind="other peer",
    missing=_missing_node,
)
SIDES: Final = (CELERY, DRAMATIQ, TASKIQ, DJANGO, FANFERRO, SQS_CONSUMER)
