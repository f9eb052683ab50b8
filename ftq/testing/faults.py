"""Faults around any port: what a network and a busy service do to calls.

A plan looks at each call and says what goes wrong with it. Wrap a wrapped port to combine.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from ftq.errors import Throttled, Unavailable
from ftq.limits import SQS_BATCH_ENTRIES
from ftq.ports import Call, Port, Reply, SyncPort

Error: TypeAlias = Literal["throttled", "unavailable", "lost", ""]
_ERRORS: Final[tuple[Error, ...]] = ("throttled", "unavailable", "lost", "")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call.

    Attributes:
        error: ``throttled`` or ``unavailable``: refused before it is applied. ``lost``: applied,
            but its reply never comes.
        before: Seconds until it is applied.
        after: Seconds from then to its reply.
        failing: Positions of entries or statements of a batch that fail for now, not applied.
        again: Whether each message that it receives is delivered once more: in the same reply
            if there is room, else in the queue's next.
        shuffle: A seed by which the received messages are reordered; None leaves them.
    """

    error: Error = ""
    before: float = 0.0
    after: float = 0.0
    failing: frozenset[int] = frozenset()
    again: bool = False
    shuffle: int | None = None


Plan: TypeAlias = Callable[[Call], Fault | None]
"""Says what goes wrong with a call; None for nothing."""

_FINE: Final = Fault()
# Where the parts of a batch are, by operation.
_PARTS: Final[Mapping[str, str]] = {
    "BatchExecuteStatement": "Statements",
    "ChangeMessageVisibilityBatch": "Entries",
    "DeleteMessageBatch": "Entries",
    "SendMessageBatch": "Entries",
}


def script(faults: Mapping[str, Sequence[Fault | None]]) -> Plan:
    """A plan by operation: the first call of it meets the first fault, and so on."""
    left = {operation: list(planned) for operation, planned in faults.items()}

    def plan(call: Call) -> Fault | None:
        planned = left.get(call.operation)
        return planned.pop(0) if planned else None

    return plan


class RandomPlan:
    """A plan that draws each fault: the same ones for the same seed and the same calls.

    Args:
        seed: The seed.
        throttled: The share of calls refused before they are applied.
        unavailable: The share that fails before it is applied.
        lost: The share whose reply is lost.
        partial: The share of batches in which each part fails with probability 1/2.
        again: The share of receives that deliver twice and out of order.
        delay: The longest time before a call is applied, and again to its reply, in seconds.

    Attributes:
        on: Set it to False and nothing goes wrong any more.
    """

    def __init__(
        self,
        seed: int,
        *,
        throttled: float = 0.0,
        unavailable: float = 0.0,
        lost: float = 0.0,
        partial: float = 0.0,
        again: float = 0.0,
        delay: float = 0.0,
    ) -> None:
        """Load the dice."""
        self.on = True
        self._dice = random.Random(seed)
        self._partial = partial
        self._again = again
        self._delay = delay
        nothing = 1.0 - throttled - unavailable - lost
        self._shares = (throttled, unavailable, lost, nothing)

    def __call__(self, call: Call) -> Fault | None:
        """Draw what goes wrong with a call."""
        if not self.on:
            return None
        draw = self._dice.random
        (error,) = self._dice.choices(_ERRORS, self._shares)
        fault = Fault(error, before=draw() * self._delay, after=draw() * self._delay)
        if draw() < self._partial:
            count = len(_parts(call))
            return replace(fault, failing=frozenset(n for n in range(count) if draw() < 0.5))
        if call.operation == "ReceiveMessage" and draw() < self._again:
            return replace(fault, again=True, shuffle=self._dice.randrange(2**32))
        return fault


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
        if fault.error == "lost":
            self.injected[fault.error] += 1
            raise Unavailable(call.operation, "ReadTimeoutError", "a fault of the test")

    def reduce(self, call: Call, fault: Fault) -> Call | None:
        """The call without the parts that fail; None if nothing is left of it."""
        failing = fault.failing & set(range(len(_parts(call))))
        if not failing:
            return call
        self.injected["partial"] += 1
        kept = [part for n, part in enumerate(_parts(call)) if n not in failing]
        request = {**call.request, _PARTS[call.operation]: kept}
        return Call(call.service, call.operation, request) if kept else None

    def spoil(self, call: Call, fault: Fault, reply: Reply) -> Reply:
        """The reply with the failed parts in it, or with messages delivered again."""
        if call.operation == "ReceiveMessage":
            return self._deliver(call, fault, reply)
        if not fault.failing:
            return reply
        if call.operation == "BatchExecuteStatement":
            return {**reply, "Responses": _with_failures(call, fault, _list(reply, "Responses"))}
        faults = [_entry_fault(part) for n, part in enumerate(_parts(call)) if n in fault.failing]
        return {**reply, "Failed": [*_list(reply, "Failed"), *faults]} if faults else reply

    def _deliver(self, call: Call, fault: Fault, reply: Reply) -> Reply:
        echoes = self._echoes[call.request.get("QueueUrl")]
        messages = _list(reply, "Messages")
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
            ``lost``, ``partial``, ``again``.
    """

    def __init__(self, port: Port, plan: Plan) -> None:
        """Stand in front of the port."""
        self._port = port
        self._spoiler = _Spoiler(plan)
        self.injected = self._spoiler.injected

    async def call(self, call: Call) -> Reply:
        """Make one call, or fail to; raises as `ftq.ports.Port.call` says."""
        fault = self._spoiler.draw(call)
        if fault.before:
            await asyncio.sleep(fault.before)
        self._spoiler.refuse(call, fault)
        left = self._spoiler.reduce(call, fault)
        reply: Reply = await self._port.call(left) if left is not None else {}
        if fault.after:
            await asyncio.sleep(fault.after)
        self._spoiler.lose(call, fault)
        return self._spoiler.spoil(call, fault, reply)


class FaultySyncPort:
    """A `SyncPort` with faults; it does not wait for ``before`` and ``after``.

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


def _parts(call: Call) -> list[object]:
    return _list(call.request, _PARTS.get(call.operation, ""))


def _list(values: Mapping[str, object], name: str) -> list[object]:
    found = values.get(name)
    return list(found) if isinstance(found, list) else []


def _with_failures(call: Call, fault: Fault, done: list[object]) -> list[object]:
    failure = {"Error": {"Code": "ThrottlingError", "Message": "a fault of the test"}}
    rest = iter(done)
    return [
        failure if n in fault.failing else next(rest, failure) for n in range(len(_parts(call)))
    ]


def _entry_fault(part: object) -> dict[str, object]:
    entry_id = part.get("Id") if isinstance(part, Mapping) else None
    message = "a fault of the test"
    return {"Id": entry_id, "Code": "InternalError", "Message": message, "SenderFault": False}
