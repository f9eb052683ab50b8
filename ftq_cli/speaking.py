"""What all client commands have: where the API is, what its errors mean, and how they print."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, ParamSpec

import click

from ftq_cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from ftq.client import Client
    from ftq.errors import FtqError
    from ftq_cli.terminal import Terminal

P = ParamSpec("P")

DEFAULT_API: Final = "http://127.0.0.1:8700"
# In a pipe nobody's window is too narrow.
PIPE_COLUMNS: Final = 240


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes clients; tests put one of their own in click's context.

    Attributes:
        connect: A client for a URL.
    """

    connect: Callable[[str], Client]


def client_options(command: Callable[P, int]) -> Callable[P, int]:
    """The options that all client commands have."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return api_option(as_json(command))


def _known_api() -> str:
    from ftq_cli.announced import known_api

    return known_api() or DEFAULT_API


api_option: Final = click.option(
    "--api", envvar="FTQ_API_URL", metavar="URL", default=_known_api,
    help="Where the API answers (FTQ_API_URL); the local one if not given.",
)  # fmt: skip


@contextmanager
def speaking(api: str) -> Iterator[Client]:
    """A client for as long as the context lasts.

    Raises:
        CommandError: The API could not do what was asked; with the exit code for that.
    """
    from ftq.client import Client
    from ftq.errors import FtqError
    from ftq.retry import RetryPolicy
    from ftq_cli.identity import identity

    def patient(url: str) -> Client:
        # Somebody sits before it: what is down now is told within a second or two.
        auth = identity(url, os.environ)
        return Client(url, auth=auth, retry=RetryPolicy(attempts=3, base=0.5, cap=2))

    connector = click.get_current_context().find_object(Connector) or Connector(patient)
    try:
        with connector.connect(api) as client:
            yield client
    except FtqError as error:
        raise CommandError(_words(error), code_of(error)) from error


def _words(error: FtqError) -> str:
    from ftq.errors import Unreachable

    key = error.idempotency_key if isinstance(error, Unreachable) else None
    return f"{error}\nto repeat it safely: --key {key}" if key else str(error)


def code_of(error: FtqError) -> Exit:
    """The exit code for an error."""
    from ftq import errors

    match error:
        case errors.KeyConflict():
            return Exit.FAILED
        case errors.SettingsError() | errors.SubmissionError():
            return Exit.USAGE
        case errors.Unreachable():
            return Exit.UNREACHABLE
        case errors.ApiError(status=status) if status >= 500:
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILED


def terminal(*, stderr: bool = False) -> Terminal:
    """Where tables go: as wide as the window, and not in colour where there is none."""
    from ftq_cli.terminal import Terminal

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_COLUMNS
    return Terminal(file=stream, highlight=False, width=width)
