"""The client commands: they speak HTTP to the API, nothing else."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable
from typing import Final, ParamSpec

import click

from ftq.text import Json, NotJson, parse
from ftq_cli.client import Document, Submission, connect
from ftq_cli.exits import Exit
from ftq_cli.show import show
from ftq_cli.state import known_api
from ftq_cli.terminal import Terminal, print_json

DEFAULT_API: Final = "http://127.0.0.1:8700"
P = ParamSpec("P")


def client_options(command: Callable[P, int]) -> Callable[P, int]:
    """The options that all client commands have."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    api = click.option(
        "--api", envvar="FTQ_API_URL", metavar="URL", default=lambda: known_api() or DEFAULT_API,
        help="Where the API answers (FTQ_API_URL); the local one if not given.",
    )  # fmt: skip
    return api(as_json(command))


def json_text(value: str) -> Json:
    """An argument that is JSON; '-' reads it from standard input."""
    try:
        return parse(sys.stdin.buffer.read() if value == "-" else value)
    except NotJson as error:
        raise click.BadParameter(f"is not JSON: {error}") from None


@click.command()
@click.argument("type_", metavar="TYPE")
@click.argument("payload", metavar="JSON", type=json_text)
@click.option("--key", help="Idempotency key: repeated with it, it is one task.")
@click.option("--delay", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait first.")
@click.option("--tenant", default="", help="On whose behalf.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 1 unless it succeeded.")
@client_options
def submit(
    type_: str,
    payload: Json,
    key: str | None,
    delay: float,
    tenant: str,
    wait: bool,
    api: str,
    as_json: bool,
) -> int:
    """Submit a task. JSON is its payload, or - to read it from standard input."""
    asked = Submission(type_, payload, key or uuid.uuid4().hex, delay, tenant)

    async def work() -> Document:
        async with connect(api) as client:
            accepted = await client.submit(asked)
            if not wait:
                return accepted
            return await client.final(str(accepted["id"]))

    task = asyncio.run(work())
    _print(task, as_json)
    return Exit.DONE if not wait or task.get("state") == "succeeded" else Exit.FAILED


@click.command()
@click.argument("task_id", metavar="ID")
@client_options
def get(task_id: str, api: str, as_json: bool) -> int:
    """Show a task."""

    async def work() -> Document:
        async with connect(api) as client:
            return await client.get(task_id)

    _print(asyncio.run(work()), as_json)
    return Exit.DONE


def _print(document: Document, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        # In a pipe nobody's window is too narrow.
        width = None if sys.stdout.isatty() else 240
        show(Terminal(highlight=False, width=width), document)
