"""Values that are made for each task: frozen for the type checker, plain at run time.

A frozen dataclass sets each field by way of ``object.__setattr__``, and takes several times as
long to make as one that is not. What a task passes through makes twenty of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> object:
        """`dataclass`, with equality and hash as if it were frozen."""
        return dataclass(slots=slots, unsafe_hash=frozen)
