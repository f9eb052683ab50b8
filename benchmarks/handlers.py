"""The handler that every side runs: it does nothing, so that what is measured is the worker."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from ftq.registry import Registry

TYPE: Final = "noop"
registry: Final = Registry()


class Note(BaseModel):
    """A small payload."""

    number: int
    text: str


@registry.handler(TYPE)
async def noop(_note: Note) -> None:
    """Do nothing."""
