"""Handlers that run in processes, for the tests: a child imports them from here."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import structlog

from ftq import BreakerPolicy, Context, Next, NextSync, Registry, Reject, Retry

registry = Registry()
nowhere = Registry()  # no handler of `registry` is in here
few = Registry()  # one of them is

FOREVER = 600.0


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("held a lock")
        self.lock = threading.Lock()


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


class Final(Exception):
    """Permanent for whoever lists it."""


@few.handler("child.echo", run_in="process")
@registry.handler("child.echo", run_in="process")
def echo(value: object) -> object:
    return value


@registry.handler("child.facts", run_in="process", timeout=7)
def facts(_: object, context: Context) -> list[object]:
    left = context.deadline - time.time()
    signs = [context.stopping, context.lost, 0 < left <= 7, threading.current_thread().name]
    names: list[object] = [context.task_id, context.type, context.correlation_id, context.tenant]
    return [*names, context.attempt, context.claim_no, os.getpid(), *signs]


@registry.handler("child.traced", run_in="process")
def traced(_: object, context: Context) -> str:
    from aws_xray_sdk.core import xray_recorder  # no other handler here needs it

    with xray_recorder.in_subsegment("in the child") as part:
        if part is not None:
            part.put_annotation("iban", "canary")
        return context.trace


@registry.handler("child.number", run_in="process")
def number(n: int) -> int:
    return n


registry.breaker("network", BreakerPolicy(counts=(ConnectionError, TimeoutError)))


@registry.handler("child.down", run_in="process", breaker="network")
def down(name: str) -> NoReturn:
    raise ConnectionResetError if name == "network" else ValueError


@registry.handler("child.raise", run_in="process", permanent=(Final,))
def fail(name: str) -> NoReturn:
    errors: dict[str, BaseException] = {
        "unpicklable": Unpicklable(),
        "mute": Mute(),
        "permanent": Final("no"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "retry": Retry(after=7, counts=False, reason="later"),
        "retry-any": Retry(),
        "reject": Reject("never"),
    }
    raise errors[name]


@registry.handler("child.die", run_in="process")
def die(how: str) -> object:
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        return ctypes.string_at(0)
    if how == "scribble":
        # Whatever is open here besides the standard streams is the pipe.
        for fd in range(3, 64):
            try:
                os.write(fd, b"\xff" * 8)
            except OSError:
                continue
    if how == "fork":
        if os.fork() == 0:
            time.sleep(FOREVER)
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@registry.handler("child.sleep", run_in="process", timeout=0.2)
def sleep(path: str) -> None:
    _begun(path)
    try:
        time.sleep(FOREVER)
    finally:
        Path(f"{path}.cleaned").touch()


@registry.handler("child.deaf", run_in="process", timeout=0.2)
def deaf(path: str) -> None:
    """Swallows what would end it, and has started a program of its own."""
    other = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({FOREVER})"])
    Path(f"{path}.other").write_text(str(other.pid))
    _begun(path)
    while True:
        try:
            time.sleep(FOREVER)
        except SystemExit:
            continue


@registry.handler("child.patient", run_in="process")
def patient(path: str, context: Context) -> str:
    """Works until it is told that the daemon stops, or that its claim is lost."""
    _begun(path)
    try:
        while not (context.stopping or context.lost):
            time.sleep(0.002)
    except SystemExit:
        return "ended"
    return "lost" if context.lost else "stopping"


@registry.handler("child.compute", run_in="process")
def compute(path: str) -> None:
    """Computes and never looks up, as native code may."""
    _begun(path)
    while True:
        pass


@registry.handler("child.busy", run_in="process")
def busy(seconds: float) -> None:
    """Computes for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@registry.handler("child.length", run_in="process")
def length(text: str) -> int:
    return len(text)


@registry.handler("child.meet", run_in="process")
def meet(paths: list[str]) -> bool:
    """Waits until the other has begun too."""
    mine, other = paths
    _begun(mine)
    until = time.monotonic() + 30
    while not Path(other).exists() and time.monotonic() < until:
        time.sleep(0.002)
    return Path(other).exists()


@registry.handler("child.progress", run_in="process")
def progress(count: int, context: Context) -> None:
    for n in range(count):
        _ = context.progress(n)


def noted(context: Context, call: NextSync) -> object:
    try:
        return [os.getpid(), call()]
    finally:
        _ = context.progress("ended")


async def noted_on_loop(context: Context, call: Next) -> object:
    try:
        return [os.getpid(), await call()]
    finally:
        await context.progress("ended")


@registry.handler("child.wrapped", run_in="process", timeout=0.2, middleware=[noted])
def wrapped(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@registry.handler("loop.wrapped", timeout=0.2, middleware=[noted_on_loop])
async def loop_wrapped(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@registry.handler("child.log", run_in="process")
def log(text: str) -> None:
    structlog.get_logger("shop").info(text, extra=1)
    sys.stdout.write("printed\n")


@registry.handler("loop.facts")
async def loop_facts(_: object, context: Context) -> list[object]:
    await asyncio.sleep(0)
    await context.progress(7)
    return [os.getpid(), context.task_id, context.claim_no, threading.current_thread().name]


@registry.handler("loop.raise")
async def loop_raise(name: str) -> None:
    await asyncio.sleep(0)
    errors: dict[str, BaseException] = {
        "value": ValueError("no"),
        "exit": SystemExit(3),
        "cancel": asyncio.CancelledError(),
        "reject": Reject("never"),
    }
    raise errors[name]


@registry.handler("loop.sleep", timeout=0.2)
async def loop_sleep(path: str) -> None:
    _begun(path)
    try:
        await asyncio.sleep(FOREVER)
    finally:
        await asyncio.sleep(0)
        _cleaned(path)


@registry.handler("loop.finish")
async def loop_finish(path: str) -> str:
    """Finishes its work although it was cancelled."""
    _begun(path)
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        return "finished"
    return "slept"


@registry.handler("loop.die", timeout=30)
async def loop_die(_: object) -> None:
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)


@registry.handler("thread.die", timeout=30)
def thread_die(_: object) -> object:
    return ctypes.string_at(0)


def _cleaned(path: str) -> None:
    Path(f"{path}.cleaned").touch()


def _begun(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
