"""How the stub says no."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A call that is answered with an error, as AWS's JSON protocols carry it.

    Args:
        kind: The `__type` of the answer.
        message: Its words.
        more: What else the answer carries.
    """

    def __init__(self, kind: str, message: str, more: Mapping[str, object] | None = None) -> None:
        """Build the answer."""
        super().__init__(f"{kind}: {message}")
        self.body: dict[str, object] = {"__type": kind, "message": message, **(more or {})}
