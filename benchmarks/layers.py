"""Which layer of the worker a sampled stack belongs to.

The innermost frame that one of these names claims decides: JSON that structlog writes is logging,
JSON that botocore writes is the request. The standard library and C code count for their callers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_RULES: Final = (
    ("logging", r"structlog/|/logging/__init__|ftq_daemon/sinks/log"),
    ("metrics", r"prometheus_client/|ftq_daemon/sinks/metrics"),
    ("events: handing out", r"ftq_daemon/events"),
    ("botocore: signing", r"botocore/(auth|signers|credentials|tokens)"),
    ("botocore: User-Agent", r"botocore/(useragent|plugin)"),
    ("botocore: endpoint rules", r"botocore/(endpoint_provider|regions|args)"),
    ("botocore: serializing", r"botocore/(serialize|validate)"),
    ("botocore: parsing", r"botocore/(parsers|eventstream)"),
    ("botocore: hooks, retries", r"botocore/(hooks|handlers|retr|history|compress|httpchecksum)"),
    ("botocore: building, sending", r"botocore/"),
    ("hot lane", r"ftq_daemon/aws/(direct|form|hot|replies|talk)"),
    ("HTTP client (aiohttp)", r"aiohttp/|yarl/|multidict/|aiosignal/|frozenlist/"),
    ("handler and its payload", r"ftq_daemon/runner|pydantic|benchmarks/handlers"),
    ("ftq: wire, codec", r"ftq/(wire|codec|text|task)"),
    ("ftq: batcher, store, queue", r"ftq_daemon/(batcher|store|queue|aws)"),
    ("ftq: intake, attempt, settle", r"ftq_daemon/|ftq/"),
)
_COMPILED: Final = tuple((name, re.compile(pattern)) for name, pattern in _RULES)
LOOP: Final = "event loop and system calls"
_FRAME: Final = re.compile(r"^(?P<function>.*) \((?P<file>.*?)(?::\d+)?\)$")


@dataclass(frozen=True, slots=True)
class Stacks:
    """Sampled stacks, as py-spy's raw format has them: frames from the outermost, and how often."""

    counted: Mapping[tuple[str, ...], int]

    @property
    def samples(self) -> int:
        """All samples."""
        return sum(self.counted.values())

    def by_layer(self) -> Counter[str]:
        """Samples by layer."""
        found: Counter[str] = Counter()
        for stack, count in self.counted.items():
            found[_layer(stack)] += count
        return found

    def by_function(self) -> tuple[Counter[str], Counter[str]]:
        """Samples by function: in itself, and in itself or what it calls."""
        own: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for stack, count in self.counted.items():
            own[_short(stack[-1])] += count
            for frame in {_short(frame) for frame in stack}:
                whole[frame] += count
        return own, whole


def read_stacks(lines: Iterable[str]) -> Stacks:
    """Read py-spy's raw format, without what the process did before its loop ran."""
    counted: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = tuple(stack.split(";"))
        if any(frame.startswith("_serve ") or "uvloop" in frame for frame in frames) and not any(
            "botocore/loaders" in frame or "importlib" in frame for frame in frames
        ):
            counted[frames] += int(count)
    return Stacks(counted)


def _layer(stack: tuple[str, ...]) -> str:
    for frame in reversed(stack):
        for name, pattern in _COMPILED:
            if pattern.search(frame):
                return name if frame.split(" ", 1)[0] not in {"_serve", "main"} else LOOP
    return LOOP


def _short(frame: str) -> str:
    found = _FRAME.match(frame)
    if found is None:
        return frame
    name = found["file"].rpartition("site-packages/")[2]
    return f"{found['function']} ({name.rpartition('/lib/python')[2] or name})"
