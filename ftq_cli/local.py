"""ftq on one machine: the embedded AWS, queue and table, the API, and daemons.

Each is an async context manager, for `ftq up`, the demo and the tests alike.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from api_lambda.settings import ApiSettings
from ftq.errors import CallError, RegistryError, SettingsError
from ftq.registry import load
from ftq.settings import DEFAULT_QUEUE, read
from ftq_cli.api_server import STARTED
from ftq_cli.children import Child, ChildFailedError, Program
from ftq_cli.embedded import StandInFailedError, embedded_aws
from ftq_cli.environment import ENDPOINT, described, embedded, given, names_aws
from ftq_cli.exits import CommandError, Exit
from ftq_cli.listening import HOST, Place
from ftq_cli.relay import Line
from ftq_cli.resources import Aws, Names, Resources, resources
from ftq_cli.supervisor import Slot, kept
from ftq_daemon.settings import DaemonSettings

DEMO_HANDLERS: Final = "ftq_cli.demo:registry"
# A local queue is polled with short waits, so that Ctrl-C is not kept waiting.
# Whoever reaches this API may do everything by it.
_DEFAULTS: Final = {"FTQ_WAIT_SECONDS": "2", "FTQ_CONSOLE": "write"}
_FIXED: Final = {"FTQ_HEALTH_HOST": HOST, "FTQ_HEALTH_PORT": "0"}


@dataclass(frozen=True, slots=True)
class Options:
    """What is to run.

    Attributes:
        place: Where the API listens.
        daemons: How many daemons.
        handlers: ``module:registry``.
        aws_state: Where the embedded AWS keeps its state; None keeps none.
        aws_log: Where its log goes; None drops it.
        names: What queues and table are called.
        temporary: Whether they are removed at the end.
        real: Whether to use the AWS that the SDK's settings lead to, a real account included.
        environ: The environment to start from; AWS_ENDPOINT_URL in it names another AWS.
    """

    place: Place = field(default_factory=Place)
    daemons: int = 1
    handlers: str = DEMO_HANDLERS
    aws_state: Path | None = None
    aws_log: Path | None = None
    names: Names = field(default_factory=Names)
    temporary: bool = False
    real: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(slots=True)
class Local:
    """What runs.

    Attributes:
        api_url: The API.
        environ: The environment of its programs: whoever has it can start another daemon.
        made: Queues and table.
        aws: For further calls.
        aws_ended: Done, with what happened, if the embedded AWS ends by itself.
        daemons: Those that are ready, by number.
        deaths: How many daemons died.
        on_change: Called when the daemons have changed.
    """

    api_url: str
    environ: Mapping[str, str]
    made: Resources
    aws: Aws
    aws_ended: asyncio.Future[str]
    daemons: dict[int, Child] = field(default_factory=dict)
    deaths: int = 0
    on_change: Callable[[], None] = lambda: None

    @property
    def aws_endpoint_url(self) -> str | None:
        """Where its AWS answers; None if there is no one endpoint for all of it."""
        return self.environ.get(ENDPOINT)

    @property
    def console_url(self) -> str | None:
        """The page for people; None if there is to be none."""
        return None if self.environ.get("FTQ_CONSOLE") == "off" else f"{self.api_url}/console"

    def changed(self, number: int, child: Child | None) -> None:
        """Note that a daemon is ready, or died."""
        if child is None:
            self.daemons.pop(number, None)
            self.deaths += 1
        else:
            self.daemons[number] = child
        self.on_change()


@asynccontextmanager
async def local(options: Options, relay: Line, say: Line) -> AsyncIterator[Local]:
    """Run all of ftq for as long as the context lasts.

    Args:
        options: What is to run.
        relay: Takes the log lines of all programs.
        say: Takes what happens, for people.

    Raises:
        CommandError: It could not be started.
    """
    check(options)
    place = options.place
    with place.bound() as listening:
        async with AsyncExitStack() as stack:
            ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            environ = await _aws_environment(options, stack, say, ended.set_result)
            aws = await asyncio.to_thread(Aws, environ)
            try:
                names = replace(options.names, more=_queues(options))
                made = await stack.enter_async_context(resources(aws, names, options.temporary))
            except (CallError, TimeoutError) as error:
                raise CommandError(f"{described(environ)}: {error}", Exit.UNREACHABLE) from error
            environ |= _settings(options, made)
            url = place.url(listening.getsockname()[1])
            if place.is_open:
                say(
                    f"The API listens on {place.host} and asks nobody who they are: whoever "
                    "reaches it may submit, read, cancel and redrive."
                )
            it = Local(url, environ, made, aws, ended)
            try:
                async with (
                    kept([Slot(_api(environ, listening, place.names))], relay, say) as api_ready,
                    kept(_daemons(it, options.daemons), relay, say) as daemons_ready,
                ):
                    await api_ready()
                    await daemons_ready()
                    yield it
            except ChildFailedError as error:
                usage = error.code == Exit.USAGE
                text = error.said if usage else str(error)
                raise CommandError(text, Exit.USAGE if usage else Exit.FAILED) from error


def check(options: Options) -> None:
    """Refuse settings and handlers that cannot work, before anything is started.

    Raises:
        CommandError: One line for each problem.
    """
    queue = "http://queue.invalid"
    environ = {
        **options.environ,
        **_settings(options, Resources(queue, f"{queue}/dlq", options.names.table)),
    }
    problems: dict[str, str] = {}
    for model in (DaemonSettings, ApiSettings):
        try:
            read(model, environ)
        except SettingsError as error:
            for line in error.problems:
                problems.setdefault(line.partition(":")[0], line)  # once for each key and value
    if not problems:
        try:
            load(options.handlers)
        except RegistryError as error:
            problems[options.handlers] = str(error)
    if problems:
        raise CommandError("\n".join(problems.values()), Exit.USAGE)


def daemon(environ: Mapping[str, str], name: str = "daemon") -> Program:
    """A daemon as a program."""
    return Program(name, "ftq_daemon", environ, "daemon.started")


def health_url(child: Child) -> str:
    """Where a daemon answers."""
    return str(child.started.get("health_url", ""))


def _queues(options: Options) -> tuple[str, ...]:
    """The queues that handlers name, beside the default one."""
    named = {handler.queue for handler in load(options.handlers)}
    return tuple(sorted(named - {"", DEFAULT_QUEUE}))


def _settings(options: Options, made: Resources) -> dict[str, str]:
    given = {key: options.environ[key] for key in _DEFAULTS if options.environ.get(key)}
    return {
        **_DEFAULTS,
        **given,
        **_FIXED,
        "FTQ_QUEUE_URL": made.queue_url,
        "FTQ_DLQ_URL": made.dlq_url,
        "FTQ_TABLE": made.table,
        "FTQ_HANDLERS": options.handlers,
        "FTQ_QUEUES": " ".join(f"{name}={url}" for name, url in made.queues.items()),
    }


async def _aws_environment(
    options: Options, stack: AsyncExitStack, say: Line, died: Callable[[str], None]
) -> dict[str, str]:
    if options.real or names_aws(options.environ):
        environ = await asyncio.to_thread(given, options.environ)
        names = options.names
        say(
            f"In {described(environ)}: the queues {names.queue} and {names.dlq} and the table "
            f"{names.table} are created unless they are there, and "
            + ("removed at the end." if options.temporary else "stay there after the end.")
        )
        return environ
    try:
        aws = embedded_aws(options.aws_state, options.aws_log, died)
        endpoint = await stack.enter_async_context(aws)
    except StandInFailedError as error:
        raise CommandError(str(error), Exit.FAILED) from error
    return embedded(options.environ, endpoint)


def _api(environ: Mapping[str, str], listening: socket.socket, names: frozenset[str]) -> Program:
    inherited = listening.fileno()
    arguments = (str(inherited), *sorted(names))
    return Program("the API", "ftq_cli.api_server", environ, STARTED, arguments, (inherited,))


def _daemons(it: Local, count: int) -> list[Slot]:
    return [
        Slot(daemon(it.environ, f"daemon {number}"), partial(it.changed, number))
        for number in range(1, count + 1)
    ]
