"""Several calls that belong together, without whoever makes them.

A function that needs AWS more than once is written as steps: a generator that yields each call
and is sent its reply, or has its `CallError` thrown in. The Lambda walks them one after the
other; an event loop awaits each. What is decided between two calls stands in one place.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from ftq.errors import CallError
from ftq.ports import Call, Port, Reply, SyncPort

T = TypeVar("T")
Steps: TypeAlias = Generator[Call, Reply, T]


def walk(port: SyncPort, steps: Steps[T]) -> T:
    """Make the calls of some steps, and return what they come to.

    Raises:
        CallError: A call failed, and the steps do not go on without it.
    """
    try:
        call = next(steps)
        while True:
            try:
                reply = port.call(call)
            except CallError as error:
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as end:
        found: T = end.value
        return found


async def walk_async(port: Port, steps: Steps[T]) -> T:
    """Make the calls of some steps from an event loop; as `walk`."""
    try:
        call = next(steps)
        while True:
            try:
                reply = await port.call(call)
            except CallError as error:
                call = steps.throw(error)
            else:
                call = steps.send(reply)
    except StopIteration as end:
        found: T = end.value
        return found
