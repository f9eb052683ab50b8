"""Ports with faults: they do to calls what a plan of `ftq.testing.faults` says."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from ftq.errors import CallError, Throttled, Unavailable
from ftq.limits import SQS_BATCH_ENTRIES, SQS_DELAY_SECONDS
from ftq.ports import Call, Port, Reply, SyncPort
from ftq.testing.faults import PARTS, Fault, Plan, listed, parts

_FINE: Final = Fault()


class _Spoiler:
    """What both faulty ports do to a call and its reply."""

    def __init__(self, plan: Plan) -> None:
        self.injected: Counter[str] = Counter()
        self._plan = plan
        self._echoes: defaultdict[object, list[object]] = defaultdict(list)

    def draw(self, call: Call) -> Fault:
        """What goes wrong with a call."""
        return self._plan(call) or _FINE

    def refuse(self, call: Call, fault: Fault) -> None:
        """Raise what comes instead of applying the call."""
        if fault.error == "throttled":
            self.injected[fault.error] += 1
            raise Throttled(call.operation, "ThrottlingException", "a fault of the test")
        if fault.error == "unavailable":
            self.injected[fault.error] += 1
            raise Unavailable(call.operation, "ConnectTimeoutError", "a fault of the test")

    def lose(self, call: Call, fault: Fault) -> None:
        """Raise what comes instead of the reply."""
        if fault.error in ("lost", "overdue"):
            self.injected[fault.error] += 1
            raise Unavailable(call.operation, "ReadTimeoutError", "a fault of the test")

    def reduce(self, call: Call, fault: Fault) -> Call | None:
        """The call as it arrives, without the parts that fail; None if nothing is left of it."""
        if fault.late and call.operation.startswith("SendMessage"):
            self.injected["late"] += 1
            call = _later(call, fault.late)
        failing = fault.failing & set(range(len(parts(call))))
        if not failing:
            return call
        self.injected["partial"] += 1
        kept = [part for n, part in enumerate(parts(call)) if n not in failing]
        request = {**call.request, PARTS[call.operation]: kept}
        return Call(call.service, call.operation, request) if kept else None

    def spoil(self, call: Call, fault: Fault, reply: Reply) -> Reply:
        """The reply with the failed parts in it, or with messages delivered again."""
        if call.operation == "ReceiveMessage":
            return self._deliver(call, fault, reply)
        if not fault.failing:
            return reply
        if call.operation == "BatchExecuteStatement":
            return {**reply, "Responses": _with_failures(call, fault, listed(reply, "Responses"))}
        faults = [_entry_fault(part) for n, part in enumerate(parts(call)) if n in fault.failing]
        return {**reply, "Failed": [*listed(reply, "Failed"), *faults]} if faults else reply

    def _deliver(self, call: Call, fault: Fault, reply: Reply) -> Reply:
        echoes = self._echoes[call.request.get("QueueUrl")]
        messages = listed(reply, "Messages")
        if fault.again and messages:
            self.injected["again"] += 1
            echoes.extend(messages)
        limit = call.request.get("MaxNumberOfMessages", 1)
        room = (limit if isinstance(limit, int) else SQS_BATCH_ENTRIES) - len(messages)
        messages += echoes[:room]
        del echoes[:room]
        if fault.shuffle is not None:
            random.Random(fault.shuffle).shuffle(messages)
        return {**reply, "Messages": messages} if messages else reply


class FaultyPort:
    """A port with faults.

    Args:
        port: The port that makes the calls.
        plan: What goes wrong with which call.

    Attributes:
        injected: How many faults there were, by kind: ``throttled``, ``unavailable``,
            ``lost``, ``overdue``, ``partial``, ``late``, ``again``.
    """

    def __init__(self, port: Port, plan: Plan) -> None:
        """Stand in front of the port."""
        self._port = port
        self._spoiler = _Spoiler(plan)
        self.injected = self._spoiler.injected
        self._overdue: set[asyncio.Task[None]] = set()

    async def call(self, call: Call) -> Reply:
        """Make one call, or fail to; raises as `ftq.ports.Port.call` says."""
        fault = self._spoiler.draw(call)
        if fault.error == "overdue":
            return await self._give_up(call, fault)
        if fault.before:
            await asyncio.sleep(fault.before)
        self._spoiler.refuse(call, fault)
        left = self._spoiler.reduce(call, fault)
        reply: Reply = await self._port.call(left) if left is not None else {}
        if fault.after:
            await asyncio.sleep(fault.after)
        self._spoiler.lose(call, fault)
        return self._spoiler.spoil(call, fault, reply)

    async def _give_up(self, call: Call, fault: Fault) -> Reply:
        """Let the caller go without an answer; the call goes on by itself."""
        task = asyncio.get_running_loop().create_task(self._arrive(call, fault.before))
        self._overdue.add(task)
        task.add_done_callback(self._overdue.discard)
        await asyncio.sleep(fault.after)
        self._spoiler.lose(call, fault)
        return {}

    async def _arrive(self, call: Call, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(CallError):  # nobody is there to be told
            await self._port.call(call)


class FaultySyncPort:
    """A `SyncPort` with faults; it waits for nothing, and what is overdue arrives at once.

    Args:
        port: The port that makes the calls.
        plan: What goes wrong with which call.

    Attributes:
        injected: How many faults there were, by kind.
    """

    def __init__(self, port: SyncPort, plan: Plan) -> None:
        """Stand in front of the port."""
        self._port = port
        self._spoiler = _Spoiler(plan)
        self.injected = self._spoiler.injected

    def call(self, call: Call) -> Reply:
        """Make one call, or fail to; raises as `ftq.ports.Port.call` says."""
        fault = self._spoiler.draw(call)
        self._spoiler.refuse(call, fault)
        left = self._spoiler.reduce(call, fault)
        reply: Reply = self._port.call(left) if left is not None else {}
        self._spoiler.lose(call, fault)
        return self._spoiler.spoil(call, fault, reply)


def _later(call: Call, seconds: int) -> Call:
    if call.operation == "SendMessage":
        return Call(call.service, call.operation, _delayed(call.request, seconds))
    entries = [_delayed(part, seconds) for part in parts(call) if isinstance(part, Mapping)]
    return Call(call.service, call.operation, {**call.request, "Entries": entries})


def _delayed(request: Mapping[str, object], seconds: int) -> dict[str, object]:
    delay = request.get("DelaySeconds", 0)
    total = (delay if isinstance(delay, int) else 0) + seconds
    return {**request, "DelaySeconds": min(SQS_DELAY_SECONDS, total)}


def _with_failures(call: Call, fault: Fault, done: list[object]) -> list[object]:
    failure = {"Error": {"Code": "ThrottlingError", "Message": "a fault of the test"}}
    rest = iter(done)
    return [failure if n in fault.failing else next(rest, failure) for n in range(len(parts(call)))]


def _entry_fault(part: object) -> dict[str, object]:
    entry_id = part.get("Id") if isinstance(part, Mapping) else None
    message = "a fault of the test"
    return {"Id": entry_id, "Code": "InternalError", "Message": message, "SenderFault": False}
