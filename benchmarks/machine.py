"""The machine: what it is, what a process of it has used, and how busy others keep it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

# The stand-in for AWS and this program share one core, the worker has the other.
AWS_CPU: Final = 0
WORKER_CPU: Final = 1
PACKAGES: Final = (
    "aiobotocore",
    "aiohttp",
    "botocore",
    "ministack",
    "orjson",
    "structlog",
    "uvloop",
)


def facts() -> dict[str, object]:
    """What a figure depends on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def pin(pid: int, cpu: int) -> None:
    """Keep a process on a core, if there are at least two."""
    if (os.cpu_count() or 1) > max(AWS_CPU, WORKER_CPU):
        os.sched_setaffinity(pid, {cpu})


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its threads so far, to the nanosecond.

    By the process's CPU clock (clock_getcpuclockid(3) of Linux); ``/proc/<pid>/stat`` has the
    same figure in hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += family(int(child))
    return found


def family_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it has started and that still runs."""
    total = 0.0
    for each in family(pid):
        with suppress(OSError):
            total += cpu_seconds(each)
    return total


def peak_mib(pid: int) -> float:
    """The most memory that a process and what it has started have had resident, each by itself."""
    return sum(_resident_mib(each, "VmHWM:") for each in family(pid))


def resident_mib(pid: int) -> float:
    """The memory that a process and what it has started have resident now."""
    return sum(_resident_mib(each, "VmRSS:") for each in family(pid))


def _resident_mib(pid: int, name: str) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def busy_seconds() -> float:
    """CPU time that all of the machine's processes have used so far."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, soft, steal = ticks[:8]
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would steer a worker or an AWS client."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("AWS_", "FTQ_")) and not name.upper().endswith("_PROXY")
    }


def packages_of(found: Mapping[str, object]) -> str:
    """The versions on one line."""
    packages = found["packages"]
    assert isinstance(packages, dict)
    return ", ".join(f"{name} {number}" for name, number in packages.items())
