"""What `--json` prints where a command fails: one problem document (RFC 9457), like the API's."""

from __future__ import annotations

from typing import Final

import click

from ftq.errors import ApiError, FtqError, InvalidField, Unreachable
from ftq.text import Document, Json
from ftq_cli.exits import CommandError, Exit

_ABOUT: Final = "urn:ftq:problem:"


def problem_of(error: BaseException) -> Document:
    """The document for an error that ends a command.

    It always has ``type title status detail``; ``status`` is 0 where no HTTP answer stands behind
    it. What the API said is handed on whole.
    """
    match error:
        case CommandError(__cause__=FtqError() as cause):
            return _of_ftq(cause, error)
        case click.UsageError() | CommandError(code=Exit.USAGE):
            return _made("usage", "The command is used wrongly", error.format_message())
        case click.ClickException():
            return _made("failed", "The command failed", error.format_message())
        case OSError():
            return _made("not-written", "The output cannot be written", str(error))
        case _:
            return _made("interrupted", "The command was interrupted", "Nothing more is known.")


def _of_ftq(error: FtqError, shown: CommandError) -> Document:
    match error:
        case ApiError(status=status):
            said = {name: _json(value) for name, value in error.document.items()}
            # What stands before the API has documents of its own.
            made = _made(f"http-{status}", "The API said no", shown.message, status)
            return {**made, **said, "status": status}
        case Unreachable(status=status, idempotency_key=key):
            made = _made("unreachable", "The API could not be reached", str(error), status)
            return {**made, "idempotency_key": key} if key else made
        case InvalidField(errors=errors):
            faults: list[Json] = [{"field": field, "message": why} for field, why in errors]
            made = _made("invalid", "Some fields are not valid", shown.message)
            return {**made, "errors": faults}
        case _ if shown.code is Exit.USAGE:
            return _made("usage", "The command is used wrongly", shown.message)
        case _:
            return _made("failed", "The command failed", shown.message)


def _made(slug: str, title: str, detail: str, status: int = 0) -> Document:
    return {"type": _ABOUT + slug, "title": title, "status": status, "detail": detail}


def _json(value: object) -> Json:
    """A member of a document that was read as JSON."""
    if isinstance(value, dict):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_json(each) for each in value]
    return value if isinstance(value, str | int | float) else None
