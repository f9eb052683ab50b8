"""The command `ftq`."""

from __future__ import annotations

import getpass
import importlib
import os
import re
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from ftq_cli.exits import CommandError, Exit
from ftq_cli.terminal import mute, prepare, print_json, printed

# Programs are loaded by the commands that need them: `ftq get` shall not wait for all of them.

DEFAULT_PORT: Final = 8700
STOPPED: Final = 130
UNREAD: Final = 141


def prefix(value: str) -> str:
    """A prefix that SQS and DynamoDB take."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{3,64}", value):
        raise click.BadParameter("has to be 3 to 64 letters, digits, - and _")
    return value


def _user() -> str:
    try:
        return re.sub(r"[^A-Za-z0-9_-]", "-", getpass.getuser())[:40]
    except (OSError, KeyError):  # it has no name
        return str(os.getuid())


aws_option: Final = click.option(
    "--aws", "real", is_flag=True,
    help="Use the AWS account that your credentials lead to. It says what it creates there.",
)  # fmt: skip


# Each is loaded when it is called, or listed.
COMMANDS: Final = {
    "cancel": "ftq_cli.commands",
    "console": "ftq_cli.console",
    "dead": "ftq_cli.operating",
    "doctor": "ftq_cli.doctor",
    "get": "ftq_cli.commands",
    "ls": "ftq_cli.commands",
    "redrive": "ftq_cli.operating",
    "stats": "ftq_cli.operating",
    "submit": "ftq_cli.commands",
    "watch": "ftq_cli.operating",
}


class Commands(click.Group):
    """The commands below, and those of other modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them, if there is one of that name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        found: object = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return found if isinstance(found, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        """Run the one that was named. With --json it prints a document, whatever becomes of it."""
        ours = ctx.args[: ctx.args.index("--")] if "--" in ctx.args else ctx.args
        wanted, token = "--json" in ours, printed.set(False)
        try:
            done: object = super().invoke(ctx)
        except (click.ClickException, click.Abort, KeyboardInterrupt) as error:
            if wanted and not printed.get():
                from ftq_cli.problem import problem_of

                print_json(problem_of(error))
            raise
        finally:
            printed.reset(token)
        return done


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def cli() -> None:
    """A fault-tolerant task queue on SQS and DynamoDB."""


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True,
    help="The API's port; 0 takes any free one.",
)  # fmt: skip
@click.option(
    "--host", default="127.0.0.1", metavar="ADDRESS", show_default=True,
    help="The address that the API listens on: 0.0.0.0 lets other machines in, and it asks nobody "
    "who they are.",
)  # fmt: skip
@click.option(
    "--allowed-host", "allowed", multiple=True, metavar="NAME",
    help="A name that the API may be called by, beside 127.0.0.1 and localhost; may be repeated.",
)  # fmt: skip
@click.option("--daemons", type=click.IntRange(0, 64), default=1, show_default=True)
@click.option(
    "--handlers", envvar="FTQ_HANDLERS", metavar="MODULE:REGISTRY",
    help="Your handlers; the demo's if not given.",
)  # fmt: skip
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), default=Path(".ftq"),
    show_default=True, help="Where up.json and the tasks are kept.",
)  # fmt: skip
@aws_option
@click.option(
    "--prefix", type=prefix, metavar="NAME",
    help="What queues and table are called; `ftq`, or `ftq-local-USER` with --aws, if not given.",
)  # fmt: skip
def up(
    port: int,
    host: str,
    allowed: tuple[str, ...],
    daemons: int,
    handlers: str | None,
    state: Path,
    real: bool,
    prefix: str | None,
) -> int:
    """Run all of ftq on this machine until Ctrl-C.

    Log lines go to standard output. With AWS_ENDPOINT_URL set, or those of SQS and DynamoDB,
    that AWS is used instead of the embedded one.
    """
    from ftq_cli.listening import Place
    from ftq_cli.local import DEMO_HANDLERS, Options
    from ftq_cli.resources import Names
    from ftq_cli.up import up as run_up

    options = Options(
        place=Place(host, port, allowed),
        daemons=daemons,
        handlers=handlers or DEMO_HANDLERS,
        aws_state=state / "aws",
        aws_log=state / "aws.log",
        # Nobody's own tasks shall meet a daemon that somebody tries out.
        names=Names.of(prefix or (f"ftq-local-{_user()}" if real else "ftq")),
        real=real,
    )
    return run(run_up(options, state), stopped=Exit.DONE)


@cli.command()
@click.option("--tasks", type=click.IntRange(1, 100_000), default=200, show_default=True)
@click.option("--failure-rate", type=click.FloatRange(0, 1), default=0.3, show_default=True)
@click.option("--daemons", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), default=Path(".ftq"),
    show_default=True, help="Where up.json and the log are written.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@aws_option
def demo(
    tasks: int, failure_rate: float, daemons: int, state: Path, as_json: bool, real: bool
) -> int:
    """Run failing tasks through a whole ftq of its own, and check what became of each."""
    from ftq_cli.demo_run import Demo
    from ftq_cli.demo_run import demo as run_demo

    return run(run_demo(Demo(tasks, failure_rate, daemons, state, as_json, real)))


@cli.command()
def daemon() -> int:
    """Run one daemon, as `python -m ftq_daemon` does."""
    from ftq_daemon.__main__ import main as run_daemon

    return run_daemon()


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print what completes this command in a shell.

    For bash: eval "$(ftq completion bash)"; the same for zsh. For fish:
    ftq completion fish | source
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"nothing is known of {shell}")
    click.echo(made(cli, {}, "ftq", "_FTQ_COMPLETE").source())
    return Exit.DONE


def run(work: Coroutine[None, None, int], stopped: int = STOPPED) -> int:
    """Run to the end, or to the first SIGINT, SIGTERM or SIGHUP; a second one ends it hard.

    Args:
        work: What to run; cancelled by the first signal.
        stopped: The exit code if it was.
    """
    import asyncio

    async def body() -> int:
        task = asyncio.ensure_future(work)

        def on_signal(number: int) -> None:
            # The children's leashes are cut with us.
            if task.cancelling():
                os._exit(128 + number)
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal, number)
        try:
            return await task
        except asyncio.CancelledError:
            return stopped

    return asyncio.run(body())


def main() -> int:
    """Run the command.

    Returns:
        0 done, 1 the task or a check failed, 2 bad usage, 3 the service cannot be reached.
    """
    # Handlers are found in the directory where the command is given, as `python -m` would.
    if "" not in sys.path:
        sys.path.insert(0, "")
    prepare()
    try:
        code: int | None = cli.main(standalone_mode=False, prog_name="ftq")
    except click.ClickException as error:
        error.show()
        return error.code if isinstance(error, CommandError) else error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return STOPPED
    except BrokenPipeError:  # as `head` leaves it
        mute(sys.stdout.fileno())
        return UNREAD
    except OSError as error:  # a full disk
        mute(sys.stdout.fileno())
        with suppress(OSError):
            click.echo(f"the output cannot be written: {error.strerror or error}", err=True)
        return Exit.FAILED
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
