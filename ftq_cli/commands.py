"""The commands about single tasks, and lists of them: they speak HTTP to the API, nothing else."""

from __future__ import annotations

import sys
from typing import Final

import click

from ftq.lifecycle import State
from ftq.text import Json, NotJson, parse
from ftq_cli.exits import Exit
from ftq_cli.speaking import client_options, speaking, terminal
from ftq_cli.terminal import print_json

LIMIT: Final = 50


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
@click.option("--tenant", help="On whose behalf.")
@click.option("--queue", help="The name of the queue that it goes to; its handler's if not given.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 1 unless it succeeded.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds that --wait takes at most.")
@client_options
def submit(
    type_: str,
    payload: Json,
    key: str | None,
    delay: float,
    tenant: str | None,
    queue: str | None,
    wait: bool,
    timeout: float | None,
    api: str,
    as_json: bool,
) -> int:
    """Submit a task. JSON is its payload, or - to read it from standard input."""
    from ftq_cli.show import show
    from ftq_cli.spinner import waiting

    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    with speaking(api) as client:
        accepted = client.submit(
            type_, payload, key=key, delay_seconds=delay, tenant=tenant, queue=queue
        )
        document, done = accepted.document, True
        try:
            if wait:
                with waiting(terminal(stderr=True), accepted.id, accepted.state) as progress:
                    task = client.wait(accepted.id, timeout, progress=progress)
                document, done = task.document, task.succeeded
        finally:
            # Whatever ends the waiting, the task goes on: which one it is must not be lost.
            if as_json:
                print_json(document)
            else:
                show(terminal(), document)
    return Exit.DONE if done else Exit.FAILED


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 1 unless it succeeded.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds that --wait takes at most.")
@client_options
def get(task_id: str, wait: bool, timeout: float | None, api: str, as_json: bool) -> int:
    """Show a task."""
    from ftq_cli.show import show
    from ftq_cli.spinner import waiting

    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    with speaking(api) as client:
        task = client.get(task_id)
        try:
            if wait:
                with waiting(terminal(stderr=True), task.id, task.state) as progress:
                    task = client.wait(task.id, timeout, progress=progress)
        finally:
            if as_json:
                print_json(task.document)
            else:
                show(terminal(), task.document)
    return Exit.DONE if task.succeeded or not wait else Exit.FAILED


@click.command()
@click.option("--state", type=click.Choice([each.value for each in State]), help="Only these.")
@click.option("--type", "type_", help="Only this type.")
@click.option("--tenant", help="Only this tenant's.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="At most so many."
)
@client_options
def ls(
    state: str | None, type_: str | None, tenant: str | None, limit: int, api: str, as_json: bool
) -> int:
    """List tasks, the newest first."""
    with speaking(api) as client:
        # One more than wanted tells whether there are more.
        tasks = [*client.list(state=state, type=type_, tenant=tenant, limit=limit + 1)]
    more, tasks = len(tasks) > limit, tasks[:limit]
    if as_json:
        print_json({"tasks": [task.document for task in tasks], "more": more})
    else:
        from ftq_cli.tables import show_tasks

        show_tasks(terminal(), tasks, more=more)
    return Exit.DONE


@click.command()
@click.argument("task_id", metavar="ID")
@client_options
def cancel(task_id: str, api: str, as_json: bool) -> int:
    """Cancel a task: at once if it waits, at its next beat if it runs."""
    with speaking(api) as client:
        done = client.cancel(task_id)
    if as_json:
        print_json(done.document)
    elif done.cancel_requested:
        click.echo(f"{done.id} is {done.state}; its daemon stops it at its next beat")
    else:
        click.echo(f"{done.id} is {done.state}")
    return Exit.DONE
