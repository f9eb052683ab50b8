"""docs/explanation/cost.md, from the prices, the counted calls and the weighed writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks import prices
from benchmarks.capacity import writes_of
from benchmarks.cost import Cost, Counted, Month, busy, counted_in, idle

PAGE: Final = Path(__file__).parents[1] / "docs" / "explanation" / "cost.md"
# The runs that are looked at. A new one is named here, and is in the repository.
_RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results"
_BUSY: Final = "throughput-20261124T171142Z.json"
_IDLE: Final = "idle-20261124T171439Z.json"
_PLOT: Final = "cost-20261124T172354Z"
# Bytes of text in a payload, which is a little longer.
_SIZES: Final = {64: "100 B", 900: "1 KiB", 8_000: "8 KiB", 64_000: "64 KiB"}
_UNIT: Final = prices.WRITE_UNIT * prices.MILLION

_HEAD: Final = f"""\
# What it costs

<!-- Written by `python -m pages` from benchmarks/prices.py and the results that it names. -->

US dollars, {prices.REGION}, Linux on ARM, on demand, no free tier; prices of {prices.DATE}, all in
`benchmarks/prices.py`. Calls, CPU and log bytes are counted in a run of the daemon, write units are
weighed by DynamoDB's rules from the statements that are sent: nothing below is guessed but what
AWS's pages would have to say last, and the two assumptions named at the end.
"""


def page() -> str:
    """The page as it should be."""
    counted = counted_in(json.loads((_RESULTS / _BUSY).read_text())["found"])
    quiet = json.loads((_RESULTS / _IDLE).read_text())["found"]["quiet"]
    months = {each["side"]: idle(each["side"], each["calls"]) for each in quiet}
    small = busy("ftq", counted["ftq"], writes_of(64))
    return "\n".join([_HEAD, _million(small), _sizes(counted["ftq"]), _more(), _less(small), *(
        _nothing(months["ftq"]), _others(), _assumed()
    )])  # fmt: skip


def _million(cost: Cost) -> str:
    units = writes_of(64)
    rows = (
        ("HTTP API and Lambda", cost.api, "one request a task; none where Python sends directly"),
        ("the message", cost.send, "one SQS request"),
        ("the record", cost.store, f"{units.submit} write units: the record and its index entry"),
        ("claim, settle", cost.state, f"{units.claim} + {units.settle} write units"),
        ("receive, delete", cost.queue, "ten tasks a request"),
        ("Fargate", cost.compute, f"no-op handlers; yours count: {_fargate():.3f} an hour"),
        ("logs", cost.logs, "what is said of a task that goes well"),
    )  # fmt: skip
    lines = [f"| {name} | {dollars:.2f} | {why} |" for name, dollars, why in rows]
    head = ["## A million small tasks", "", "| part | $ | for |", "|---|---|---|"]
    return "\n".join([*head, *lines, f"| **all** | **{cost.total:.2f}** | |"]) + "\n"


def _sizes(counted: Counted) -> str:
    lines = ["## By the size of the payload", "", "| payload | write units | $ a million |"]
    lines.append("|---|---|---|")
    for size, name in _SIZES.items():
        writes = writes_of(size)
        lines.append(f"| {name} | {writes.total} | {busy('ftq', counted, writes).total:.2f} |")
    lines += [
        "",
        "Large payloads lie in an item of their own beside the record, so that claim and settle do",
        "not pay for them ([ADR 0004](../adr/0004-payloads.md)): they are paid for once.",
    ]
    return "\n".join(lines) + "\n"


def _more() -> str:
    units = writes_of(64)
    retry = (units.claim + units.settle) * _UNIT
    return f"""\
## What makes it more

- **A failed attempt**: a claim and a settle more, {retry:.2f} a million failed attempts, and a
  tenth of an SQS request each to hide and to receive again.
- **A delay beyond 15 minutes**: a sweep sends it when it is due: three write units and one
  message, {3 * _UNIT + prices.SQS_REQUEST * prices.MILLION:.2f} a million.
- **Progress** (`context.progress`): one write unit for each time that it is told.
- **`FTQ_AUDIT=all`, `FTQ_LOG_LEVEL=DEBUG`**: {prices.LOGS_GB:.2f} a GB of lines.
- **X-Ray**: 5.00 a million traces; `FTQ_TRACE_SAMPLE` says which share is kept.
"""


def _less(cost: Cost) -> str:
    return f"""\
## What makes it less

- **Batches**: `POST /tasks/batch` takes 100 tasks for one request, so {cost.api:.2f} becomes a few
  cents, and sends ten messages a request: {cost.send:.2f} becomes {cost.send / 10:.2f}.
- **`FTQ_LOG_SAMPLE=0.01`** leaves of {cost.logs:.2f} for logs what went wrong, and one in a hundred
  of the rest.
- **Provisioned capacity** for a steady load: under a third of on-demand at full use.
- **Fargate Spot** (a parameter of the stack): up to 70 % off; a reclaimed daemon drains.
"""


def _nothing(month: Month) -> str:
    return f"""\
## A month in which nothing happens

Three receives a minute and the sweeper's looks: {month.queue + month.table:.2f} for SQS and
DynamoDB; and {month.compute:.2f} for one smallest daemon, or nothing where the service scales to
zero ([how](../how-to/scale.md)). The API costs nothing while nobody asks.
"""


def _others() -> str:
    results = "../../benchmarks/results"
    return f"""\
## Beside others

A record is the price of knowing: more than half of the sum is what DynamoDB asks for it. Workers
that keep none cost 0.50 to 0.90 a million, without an API
([how that was counted](../../benchmarks/README.md)).

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="{results}/{_PLOT}-dark.svg">
  <img alt="A million small tasks in dollars, by worker" src="{results}/{_PLOT}-light.svg">
</picture>
"""


def _assumed() -> str:
    return f"""\
## What is assumed

- The Lambda has {prices.LAMBDA_GB * 1024:.0f} MB and takes {prices.LAMBDA_SECONDS * 1000:.0f} ms a
  task: two calls to AWS, one after the other.
- The daemons are kept {prices.FARGATE_BUSY:.0%} full.

Not in it: storage (0.25 a GB and month), data transfer, custom metrics (0.30 each and month; about
30 and some for each type), alarms (0.10 each), NAT, VPC endpoints, support. Your own figures:
change `benchmarks/prices.py`, then `python -m benchmarks cost`.
"""


def _fargate() -> float:
    memory = prices.FARGATE_GB / prices.FARGATE_VCPU * prices.FARGATE_GB_HOUR
    return prices.FARGATE_VCPU_HOUR + memory
