"""`ftq doctor`: looks at the API, and at queue and table where the settings name them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import click

from ftq.errors import CallError, ClientError, SettingsError
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.ports import Call, Port
from ftq.task import bucket_in
from ftq_cli import checks
from ftq_cli.checks import Finding, Wanted
from ftq_cli.exits import Exit
from ftq_cli.speaking import client_options, terminal
from ftq_cli.terminal import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ftq.client import Client

_MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}
_OVERDUE_SHOWN: Final = 10


@click.command()
@client_options
def doctor(api: str, as_json: bool) -> int:
    """Check the API, and with FTQ_QUEUE_URL, FTQ_DLQ_URL and FTQ_TABLE set, queue and table.

    Next to an `ftq up` it looks at that one. Exit 1 if anything is wrong.
    """
    from ftq_cli.announced import known

    findings = examine(api, surroundings(os.environ, known()))
    ok = all(each.ok is not False for each in findings)
    if as_json:
        print_json({"ok": ok, "checks": [each.to_json() for each in findings]})
    else:
        show(terminal(), findings)
    return Exit.DONE if ok else Exit.FAILED


def surroundings(environ: Mapping[str, str], up: Mapping[str, object]) -> dict[str, str]:
    """The environment, with what a local ftq says of itself where nothing is set."""
    from ftq_cli.environment import embedded

    keys = {"FTQ_QUEUE_URL": "queue_url", "FTQ_DLQ_URL": "dlq_url", "FTQ_TABLE": "table"}
    if any(environ.get(key) for key in keys) or not up:
        return dict(environ)
    endpoint = up.get("aws_endpoint_url")
    found = embedded(environ, endpoint) if isinstance(endpoint, str) else dict(environ)
    return found | {key: str(up[name]) for key, name in keys.items() if name in up}


def show(console: Console, findings: list[Finding]) -> None:
    """Print a line for each finding."""
    from rich.text import Text

    width = max(len(each.name) for each in findings)
    for each in findings:
        mark, style = _MARKS[each.ok]
        line = Text.assemble((mark, style), f" {each.name.ljust(width)}  {each.detail}")
        console.print(line, soft_wrap=True)


def examine(api: str, environ: Mapping[str, str]) -> list[Finding]:
    """All that can be found out."""
    findings, daemons = _api(api)
    wanted = _wanted(environ)
    if wanted is None:
        note = "FTQ_QUEUE_URL and FTQ_TABLE are not set here: queue and table were not looked at"
        return [*findings, Finding("AWS", None, note), checks.sweeps(daemons, None)]
    from ftq_cli.resources import Aws

    try:
        seen, overdue = asyncio.run(aws(Aws(environ), wanted, datetime.now(UTC)))
    except Exception as error:  # botocore's own, such as for a region that is missing
        broken = Finding("AWS", False, f"cannot be asked: {error}")
        return [*findings, broken, checks.sweeps(daemons, None)]
    return [*findings, *seen, checks.sweeps(daemons, overdue)]


def _wanted(environ: Mapping[str, str]) -> Wanted | None:
    queue_url, table = environ.get("FTQ_QUEUE_URL"), environ.get("FTQ_TABLE")
    if not (queue_url and table):
        return None

    def number(name: str, default: int) -> int:
        value = environ.get(name, "")
        return int(value) if value.isdecimal() else default

    return Wanted(
        queue_url,
        environ.get("FTQ_DLQ_URL", ""),
        table,
        number("FTQ_RETENTION_DAYS", 30),
        number("FTQ_VISIBILITY_SECONDS", 60),
    )


def _api(api: str) -> tuple[list[Finding], int | None]:
    """What is to be said of the API; and how many daemons are alive, if it could say."""
    from ftq.client import Client
    from ftq.retry import RetryPolicy
    from ftq_cli.speaking import Connector

    connector = click.get_current_context().find_object(Connector) or Connector(
        lambda url: Client(url, retry=RetryPolicy(attempts=1))
    )
    try:
        with connector.connect(api) as client:
            return _asked(client, api)
    except (SettingsError, ClientError) as error:
        remedy = "check --api or FTQ_API_URL, and that it runs"
        return [Finding("API", False, f"{error}; {remedy}")], None


def _asked(client: Client, api: str) -> tuple[list[Finding], int | None]:
    health = client.health()
    findings = [
        Finding("API", True, f"{api} is {health.status}"),
        checks.skew(_moment(health.date), datetime.now(UTC)),
    ]
    try:
        stats = client.stats()
    except ClientError as error:
        return [*findings, Finding("stats", False, str(error))], None
    stale = [each.name for each in stats.daemons if each.stale]
    if stale:
        names = ", ".join(stale)
        findings.append(Finding("daemons", False, f"killed, or cannot write: {names}"))
    opened = [each.name for each in stats.breakers if each.position == "open"]
    if opened:
        findings.append(Finding("breakers", False, f"open: {', '.join(opened)}"))
    return findings, len(stats.daemons) - len(stale)


def _moment(date: str) -> datetime | None:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return None


async def aws(port: Port, wanted: Wanted, now: datetime) -> tuple[list[Finding], int | None]:
    """What is to be said of queues and table; and how many tasks nobody has looked at."""
    from ftq.wire import queue

    findings: list[Finding] = []

    async def attributes(name: str, url: str) -> dict[str, str] | None:
        reply = await _looked(port, queue.depth(url), name, url, findings)
        return None if reply is None else queue.read_attributes(reply)

    main = await attributes("queue", wanted.queue_url)
    dead = await attributes("dead-letter queue", wanted.dlq_url) if wanted.dlq_url else None
    if main is not None:
        findings += checks.queues(wanted, main, dead)
    described = Call("dynamodb", "DescribeTable", {"TableName": wanted.table})
    table = await _looked(port, described, "table", wanted.table, findings)
    if table is None:
        return findings, None
    findings.append(checks.index(table))
    asked = Call("dynamodb", "DescribeTimeToLive", {"TableName": wanted.table})
    try:
        findings.append(checks.ttl(await port.call(asked)))
    except CallError as error:
        findings.append(Finding("time to live", None, f"cannot be asked: {error}"))
    return findings, await _overdue(port, wanted.table, now)


async def _looked(
    port: Port, call: Call, name: str, what: str, findings: list[Finding]
) -> Mapping[str, object] | None:
    try:
        reply = await port.call(call)
    except CallError as error:
        remedy = "create it, or mend the setting or the permissions"
        findings.append(Finding(name, False, f"{what}: {error.code}: {remedy}"))
        return None
    findings.append(Finding(name, True, what))
    return reply


async def _overdue(port: Port, table: str, now: datetime) -> int | None:
    from ftq.wire import index
    from ftq.wire.table import read_page

    until = int(now.timestamp() * 1000) - checks.OVERDUE_SECONDS * 1000
    count = 0
    try:
        for shard in range(SHARDS):
            bucket = bucket_in(shard, State.QUEUED)
            asked = index.page(table, bucket, _OVERDUE_SHOWN, until=until)
            items, _ = read_page(await port.call(asked))
            count += len(items)
    except CallError:
        return None
    return count
