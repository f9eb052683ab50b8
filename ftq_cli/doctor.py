"""`ftq doctor`: looks at the API, and at queue and table where the settings name them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import click

from ftq.errors import ClientError, SettingsError
from ftq_cli.diagnosis import program
from ftq_cli.diagnosis.finding import Finding, Level, right, unknown, wrong
from ftq_cli.diagnosis.look import Look
from ftq_cli.diagnosis.wanted import Wanted, wanted_of
from ftq_cli.exits import CommandError, Exit
from ftq_cli.speaking import client_options, code_of, terminal
from ftq_cli.terminal import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ftq.client import Client

_MARKS: Final = {
    Level.RIGHT: ("✓", "green"),
    Level.WRONG: ("✗", "red"),
    Level.WARNING: ("!", "yellow"),
    Level.UNKNOWN: ("–", "bright_black"),
}


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


def surroundings(environ: Mapping[str, str], up: Mapping[str, object]) -> dict[str, str]:
    """The environment, with what a local ftq says of itself where nothing is set."""
    from ftq_cli.environment import embedded

    keys = {"FTQ_QUEUE_URL": "queue_url", "FTQ_DLQ_URL": "dlq_url", "FTQ_TABLE": "table"}
    if any(environ.get(key) for key in keys) or not up:
        return dict(environ)
    endpoint = up.get("aws_endpoint_url")
    found = embedded(environ, endpoint) if isinstance(endpoint, str) else dict(environ)
    return found | {key: str(up[name]) for key, name in keys.items() if name in up}


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Print a line for each finding, then what mends what is wrong."""
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for each in findings:
        mark, style = _MARKS[each.level]
        rows.add_row(Text(mark, style), Text(each.name), Text(each.detail))
    console.print(rows)
    for each in findings:
        if each.mend and each.level in (Level.WRONG, Level.WARNING):
            mark, style = _MARKS[each.level]
            console.print()
            console.print(Text.assemble((mark, style), f" {each.name}: to mend it"))
            # In one piece, to be copied.
            console.print(Text(f"  {each.mend}"), soft_wrap=True)


def examine(api: str, environ: Mapping[str, str]) -> tuple[list[Finding], bool]:
    """All that can be found out; and whether the API could be reached.

    Raises:
        SettingsError: The API's URL, or a setting that names what is looked at, is none.
    """
    wanted = wanted_of(environ)
    findings, daemons, reached = _api(api)
    seen, overdue = _aws(environ, wanted)
    table = wanted.table if wanted is not None and wanted.on_aws else None
    swept = program.sweeps(daemons, overdue, table)
    return [*program.settings(environ), *findings, *seen, swept], reached


def _aws(environ: Mapping[str, str], wanted: Wanted | None) -> tuple[list[Finding], int | None]:
    """What is to be said of AWS; and how many tasks nobody has looked at, if that is known."""
    if wanted is None:
        note = "FTQ_QUEUE_URL and FTQ_TABLE are not set here: queue and table were not looked at"
        return [unknown("AWS", note)], None
    from ftq_cli.resources import Aws

    try:
        look = Look(Aws(environ), wanted, daemon=bool(environ.get("FTQ_HANDLERS")))
        overdue = asyncio.run(look.everything(datetime.now(UTC)))
    except Exception as error:  # botocore's own, such as for a region that is missing
        return [wrong("AWS", f"cannot be asked: {error}")], None
    return look.findings, overdue


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
        return [wrong("API", f"{error}; {remedy}")], None, reached


def _asked(client: Client, api: str) -> tuple[list[Finding], int | None]:
    health = client.health()
    findings = [
        right("API", f"{api} is {health.status}"),
        program.skew(_moment(health.date), datetime.now(UTC)),
    ]
    try:
        stats = client.stats()
    except ClientError as error:
        return [*findings, wrong("stats", str(error))], None
    stale = [each.name for each in stats.daemons if each.stale]
    if stale:
        names = ", ".join(stale)
        findings.append(wrong("daemons", f"killed, or cannot write: {names}"))
    opened = [each.name for each in stats.breakers if each.position == "open"]
    if opened:
        findings.append(wrong("breakers", f"open: {', '.join(opened)}"))
    return findings, len(stats.daemons) - len(stale)


def _moment(date: str) -> datetime | None:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return None
