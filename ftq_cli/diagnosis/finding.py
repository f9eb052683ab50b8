"""A finding of `ftq doctor`, and the command that mends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from botocore import xform_name

from ftq.ports import Call
from ftq.redaction import redact_text
from ftq.text import Document, dump


class Level(StrEnum):
    """How bad it is."""

    RIGHT = "right"
    WRONG = "wrong"
    WARNING = "warning"
    """It works, and is not how it should stay."""
    UNKNOWN = "unknown"
    """Nobody can tell from here."""


_OK: Final = {Level.RIGHT: True, Level.WRONG: False}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was looked at.
        level: How bad it is.
        detail: What was found.
        mend: The command that mends it, for a shell; '' where none does.
    """

    name: str
    level: Level
    detail: str
    mend: str = ""

    def __post_init__(self) -> None:
        """Redact the words: settings are quoted in them, and whatever AWS's client raised."""
        for name in ("detail", "mend"):
            object.__setattr__(self, name, redact_text(getattr(self, name)))

    @property
    def ok(self) -> bool | None:
        """Whether it is right; None for a warning, and for what nobody can tell."""
        return _OK.get(self.level)

    def to_json(self) -> Document:
        """The finding for scripts."""
        return {
            "name": self.name,
            "ok": self.ok,
            "level": str(self.level),
            "detail": self.detail,
            "mend": self.mend or None,
        }


def right(name: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(name, Level.RIGHT, detail)


def wrong(name: str, detail: str, mend: str = "") -> Finding:
    """It breaks a promise, or will."""
    return Finding(name, Level.WRONG, detail, mend)


def warning(name: str, detail: str, mend: str = "") -> Finding:
    """It works, and is not how it should stay."""
    return Finding(name, Level.WARNING, detail, mend)


def unknown(name: str, detail: str, mend: str = "") -> Finding:
    """Nobody can tell from here."""
    return Finding(name, Level.UNKNOWN, detail, mend)


def unguarded(name: str, detail: str, mend: str, *, on_aws: bool) -> Finding:
    """Something is not protected: what a stand-in on this machine does without is no fault."""
    if on_aws:
        return wrong(name, detail, mend)
    return warning(name, f"{detail}: fine on a stand-in, wrong on AWS")


def command(*calls: Call) -> str:
    """Calls as commands of the AWS CLI, one after the other.

    Region, endpoint and credentials are the CLI's own to find, as the programs find theirs.
    """
    return " && ".join(_command(call) for call in calls)


def _command(call: Call) -> str:
    words = ["aws", call.service, _kebab(call.operation)]
    for name, value in call.request.items():
        flag = _kebab(name)
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", value if isinstance(value, str) else dump(value)]
    return shlex.join(words)


def _kebab(name: str) -> str:
    return str(xform_name(name, "-"))
