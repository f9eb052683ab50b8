"""The commands of whoever looks after the service: what died, and how everything is."""

from __future__ import annotations

from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING

import click

from ftq_cli.exits import Exit
from ftq_cli.speaking import client_options, speaking, terminal
from ftq_cli.terminal import print_json

if TYPE_CHECKING:
    from ftq.client import Redriven
    from ftq.client.talks import Deaths
    from ftq.text import Document


def moment(value: str) -> datetime:
    """An argument that is a moment with its time zone."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("must be ISO 8601, such as 2026-11-24T12:00:00Z") from None
    if found.utcoffset() is None:
        raise click.BadParameter("must say its time zone, such as Z")
    return found


@click.command()
@click.argument("task_id", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="All that is dead, or fits the filters.")
@click.option("--type", "type_", help="Only this type.")
@click.option("--error", help="Only this fingerprint of an error; `ftq dead` shows them.")
@click.option("--before", type=moment, help="Only what had died by then; by now if not given.")
@click.option("--rate", type=click.FloatRange(1, 1000), help="Tasks a second at most.")
@click.option("--dry-run", is_flag=True, help="Only count what fits.")
@click.option(
    "--claim-no", type=click.IntRange(min=1),
    help="The death of ID that is meant; the one that it died last if not given.",
)  # fmt: skip
@client_options
def redrive(
    task_id: str | None,
    everything: bool,
    type_: str | None,
    error: str | None,
    before: datetime | None,
    rate: float | None,
    dry_run: bool,
    claim_no: int | None,
    api: str,
    as_json: bool,
) -> int:
    """Give a dead task one more life, or all of them.

    For each the death that was seen is named, so a death gives one life, however often the
    request is repeated. The command given again after the task died once more sees that death:
    another life, unless --claim-no or --before says which is meant. With --all it says how to
    go on, were it cut short, so that nobody gets two.
    """
    if (task_id is None) is not everything:
        raise click.UsageError("name one ID, or say --all")
    if everything and claim_no is not None:
        raise click.UsageError("--claim-no goes with one ID")
    if task_id is not None:
        if dry_run or any(each is not None for each in (type_, error, before, rate)):
            raise click.UsageError("--type, --error, --before, --rate and --dry-run go with --all")
        return _redrive_one(task_id, claim_no, api, as_json)
    from ftq.client.talks import Deaths

    return _redrive_all(Deaths(type_, error, before), rate, dry_run, api, as_json)


def _redrive_all(meant: Deaths, rate: float | None, dry_run: bool, api: str, as_json: bool) -> int:
    from ftq_cli.spinner import redriving

    said: list[Redriven] = []
    try:
        with speaking(api) as client, redriving(terminal(stderr=True)) as show:

            def progress(sums: Redriven) -> None:
                if not said and not dry_run and sums.before is not None:
                    # Now, for nobody says it who is killed.
                    click.echo(f"if this is cut short, {_resumed(sums.before)}", err=True)
                said[:] = [sums]
                show(sums)

            done = client.redrive_all(
                type=meant.type, error=meant.error, before=meant.before, rate=rate,
                dry_run=dry_run, progress=progress,
            )  # fmt: skip
    except BaseException as error:
        if said and not dry_run:
            _stopped(error, said[0], as_json)
        raise
    if as_json:
        print_json(_sums(done))
    elif dry_run:
        click.echo(f"{done.matched} dead tasks fit; nothing was changed")
    else:
        click.echo(f"redriven {done.redriven} of {done.matched} dead tasks that fit")
        if done.failed:
            click.echo(f"{done.failed} may still be dead: the table did not answer", err=True)
    return Exit.FAILED if done.failed else Exit.DONE


def _stopped(error: BaseException, sums: Redriven, as_json: bool) -> None:
    """Say how far it came, and how to go on."""
    from ftq_cli.problem import problem_of

    if as_json:
        print_json({**problem_of(error), **_sums(sums)})
    if sums.before is not None:
        click.echo(f"redriven {sums.redriven}; {_resumed(sums.before)}", err=True)


def _resumed(before: datetime) -> str:
    """How to go on without a second life for anybody."""
    return f"go on with --before {before:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _sums(done: Redriven) -> Document:
    names = {"matched", "redriven", "failed", "dry_run", "before"}
    return done.model_dump(mode="json", include=names)


def _redrive_one(task_id: str, claim_no: int | None, api: str, as_json: bool) -> int:
    with speaking(api) as client:
        done = client.redrive(task_id, claim_no=claim_no)
    if as_json:
        print_json(done.document)
    else:
        click.echo(f"{task_id} has one more life")
    return Exit.DONE


@click.command()
@click.option("--window", metavar="SPAN", help="How far back: 15m, 24h (the default), 7d ...")
@client_options
def dead(window: str | None, api: str, as_json: bool) -> int:
    """Show what died, grouped by type and error."""
    with speaking(api) as client:
        letters = client.dead_letters(window)
    if as_json:
        print_json(letters.document)
    else:
        from ftq_cli.tables import show_dead

        show_dead(terminal(), letters)
    return Exit.DONE


@click.command()
@client_options
def stats(api: str, as_json: bool) -> int:
    """Show queues, tasks by state, breakers and daemons."""
    with speaking(api) as client:
        said = client.stats()
    if as_json:
        print_json(said.document)
    else:
        from ftq_cli.tables import show_stats

        show_stats(terminal(), said)
    return Exit.DONE


@click.command()
@click.option(
    "--interval", type=click.FloatRange(0.5, 3600), default=3.0, show_default=True,
    help="Seconds between two looks.",
)  # fmt: skip
@click.option("--looks", type=click.IntRange(min=1), help="End after so many looks.")
@client_options
def watch(interval: float, looks: int | None, api: str, as_json: bool) -> int:
    """Show how everything moves, until Ctrl-C; with --json, over one interval."""
    from ftq_cli.watching import over_one, watching

    with speaking(api) as client:
        if as_json:
            print_json(over_one(client.stats, interval, sleep))
        else:
            watching(client.stats, terminal(), interval, looks, sleep)
    return Exit.DONE
