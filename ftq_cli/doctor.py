"""`ftq doctor`: looks at the API, and at queue and table where the settings name them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import click

from ftq.errors import CallError, ClientError, SettingsError
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.ports import Call, Port
from ftq.settings import Queues, Settings, read
from ftq.task import bucket_in
from ftq_cli import checks
from ftq_cli.checks import Finding, Wanted
from ftq_cli.exits import CommandError, Exit
from ftq_cli.speaking import client_options, code_of, terminal
from ftq_cli.terminal import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ftq.client import Client

_MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}
_OVERDUE_SHOWN: Final = 10


@click.command()
@client_options
def doctor(api: str, as_json: bool) -> int:
    """Check the API, and queues and table if FTQ_QUEUE_URL and FTQ_TABLE are set.

    FTQ_DLQ_URL and FTQ_QUEUES name more queues. Next to an `ftq up` it looks at that one. Exit 1
    if anything is wrong, 3 if the API cannot be reached.
    """
    from ftq_cli.announced import known

    try:
        findings, reached = examine(api, surroundings(os.environ, known()))
    except SettingsError as error:
        raise CommandError(str(error), Exit.USAGE) from error
    ok = all(each.ok is not False for each in findings)
    if as_json:
        print_json({"ok": ok, "checks": [each.to_json() for each in findings]})
    else:
        show(terminal(), findings)
    if not reached:
        return Exit.UNREACHABLE
    return Exit.DONE if ok else Exit.FAILED


class _Named(Settings):
    """The settings that name what is looked at, or say how it should be."""

    queue_url: str = ""
    dlq_url: str = ""
    table: str = ""
    queues: Queues = ()
    retention_days: int = 30
    visibility_seconds: int = 60


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


def examine(api: str, environ: Mapping[str, str]) -> tuple[list[Finding], bool]:
    """All that can be found out; and whether the API could be reached.

    Raises:
        SettingsError: The API's URL, or a setting, is none.
    """
    wanted = wanted_of(environ)
    findings, daemons, reached = _api(api)
    seen, overdue = _aws(environ, wanted)
    return [*findings, *seen, checks.sweeps(daemons, overdue)], reached


def _aws(environ: Mapping[str, str], wanted: Wanted | None) -> tuple[list[Finding], int | None]:
    """What is to be said of AWS; and how many tasks nobody has looked at, if that is known."""
    if wanted is None:
        note = "FTQ_QUEUE_URL and FTQ_TABLE are not set here: queue and table were not looked at"
        return [Finding("AWS", None, note)], None
    from ftq_cli.resources import Aws

    try:
        return asyncio.run(aws(Aws(environ), wanted, datetime.now(UTC)))
    except Exception as error:  # botocore's own, such as for a region that is missing
        return [Finding("AWS", False, f"cannot be asked: {error}")], None


def wanted_of(environ: Mapping[str, str]) -> Wanted | None:
    """What the settings name; None unless that is a queue and a table.

    Raises:
        SettingsError: One of them cannot be read.
    """
    named = read(_Named, environ)
    if not (named.queue_url and named.table):
        return None
    return Wanted(
        named.queue_url,
        named.dlq_url,
        named.table,
        named.retention_days,
        named.visibility_seconds,
        {each.name: each.url for each in named.queues if each.url},
    )


def _api(api: str) -> tuple[list[Finding], int | None, bool]:
    """What is to be said of the API, how many daemons are alive, and whether it was reached."""
    from ftq.client import Client
    from ftq.retry import RetryPolicy
    from ftq_cli.identity import identity
    from ftq_cli.speaking import Connector

    connector = click.get_current_context().find_object(Connector) or Connector(
        lambda url: Client(url, auth=identity(url, os.environ), retry=RetryPolicy(attempts=1))
    )
    try:
        with connector.connect(api) as client:
            return (*_asked(client, api), True)
    except ClientError as error:
        remedy = "check --api or FTQ_API_URL, and that it runs"
        reached = code_of(error) is not Exit.UNREACHABLE
        return [Finding("API", False, f"{error}; {remedy}")], None, reached


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
    for name, url in wanted.more.items():
        other = await attributes(f"queue {name}", url)
        if other is not None:
            found = checks.queues(replace(wanted, queue_url=url), other, dead)
            findings += [replace(each, name=f"{each.name}, {name}") for each in found]
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
