"""How a loop of our own runs where another may run already, and sees threads at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from typing import TypeVar

from ftq.testing.clock import outside_work
from ftq_daemon.runner import in_thread

T = TypeVar("T")


def where_no_loop_runs(work: Callable[[], T]) -> T:
    """Call `work` here, or in a thread of its own if this one runs a loop: in an async test."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="ftq test") as pool:
        return pool.submit(copy_context().run, work).result()


def in_seen_thread(work: Callable[[], object], name: str) -> asyncio.Future[object]:
    """As `ftq_daemon.runner.in_thread`; the virtual clock waits for it instead of jumping."""
    stack = ExitStack()
    stack.enter_context(outside_work())
    future = in_thread(work, name)
    future.add_done_callback(lambda _: stack.close())
    return future
