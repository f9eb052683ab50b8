"""A listener: a function of the user's, and the events that its parameter asks for."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ftq.errors import RegistryError
from ftq.events import EVENTS, Event
from ftq.middleware import name_of

Hears: TypeAlias = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class Listener:
    """A function that hears of events.

    Attributes:
        name: What people call it.
        function: It; sync or async.
        kinds: The classes of the events that it hears of.
    """

    name: str
    function: Hears
    kinds: tuple[type[Event], ...]


def listener(function: Hears) -> Listener:
    """The listener that a function is, as `ftq.Registry.listen` describes it.

    Raises:
        RegistryError: It cannot be one; the message says why.
    """
    name = f"listener {name_of(function)}"
    try:
        parameters = list(inspect.signature(function).parameters)
        described = function if inspect.isroutine(function) else type(function).__call__
        hints = typing.get_type_hints(described)
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError) as error:
        raise RegistryError(f"{name}: its annotations cannot be read: {error}") from error
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistryError(f"{name}: one with yield does not run when it is called")
    if len(parameters) != 1:
        raise RegistryError(f"{name}: must take (event)")
    hint: object = hints.get(parameters[0])
    several = typing.get_origin(hint) in (typing.Union, types.UnionType)
    asked = typing.get_args(hint) if several else (hint,)
    kinds = tuple(each for each in EVENTS if each in asked)
    if len(kinds) != len(asked):
        shown = getattr(hint, "__name__", hint)
        why = "annotate it with a class of ftq.events, several with | between, or ftq.events.Event"
        raise RegistryError(f"{name}: {parameters[0]}: {shown}: {why}")
    return Listener(name_of(function), function, kinds)
