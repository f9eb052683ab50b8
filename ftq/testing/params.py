"""The parameters of a call, read with their types; a wrong one is refused as AWS refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftq.errors import CallRefused


def words(error: CallRefused) -> str:
    """What the service said, without operation and code."""
    return str(error).removeprefix(f"{error.operation}: {error.code}: ")


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of one call, or of one entry of it.

    Attributes:
        operation: The operation, for errors.
        code: The code with which this service refuses a parameter.
        values: The parameters.
    """

    operation: str
    code: str
    values: Mapping[str, object]

    def refused(self, message: str, code: str = "") -> CallRefused:
        """The error that refuses the call."""
        return CallRefused(self.operation, code or self.code, message)

    def text(self, name: str, default: str | None = None) -> str:
        """A text.

        Raises:
            CallRefused: It is missing and has no default, or is no text.
        """
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise self.refused(f"{name} must be a text")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`.

        Raises:
            CallRefused: It is anything else.
        """
        value = self.values.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise self.refused(
                f"Value {value} for parameter {name} is invalid. Reason: Must be between "
                f"{low} and {high}"
            )
        return value

    def mapping(self, name: str) -> dict[str, object]:
        """An object, {} if it is missing.

        Raises:
            CallRefused: It is anything else.
        """
        value = self.values.get(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.refused(f"{name} must be an object")
        return dict(value)

    def child(self, name: str) -> Params:
        """An object as parameters of its own."""
        return Params(self.operation, self.code, self.mapping(name))

    def children(self, name: str) -> list[Params]:
        """A list of objects, each as parameters of its own; [] if it is missing.

        Raises:
            CallRefused: It is anything else.
        """
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            raise self.refused(f"{name} must be a list of objects")
        return [Params(self.operation, self.code, dict(each)) for each in value]

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts, {} if it is missing.

        Raises:
            CallRefused: It is anything else.
        """
        found = self.mapping(name)
        texts = {key: value for key, value in found.items() if isinstance(value, str)}
        if len(texts) < len(found):
            raise self.refused(f"{name} must hold texts")
        return texts
