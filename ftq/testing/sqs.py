"""SQS in memory behind `ftq.ports.Port`: the operations that ftq uses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from ftq.errors import CallRefused
from ftq.limits import SQS_BATCH_ENTRIES, SQS_VISIBILITY_SECONDS, SQS_WAIT_SECONDS
from ftq.ports import Call, Reply
from ftq.testing.account import Account
from ftq.testing.message import Parcel, as_entry_fault, read_parcel
from ftq.testing.params import Params
from ftq.testing.queue import PURGE_SECONDS, MemoryQueue

INVALID: Final = "InvalidParameterValue"
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
# SendMessageBatch reference, since August 2025.
BATCH_BYTES: Final = 1_048_576


class MemorySqs:
    """The queues of one account.

    Args:
        now: The wall clock, in milliseconds since the epoch.
        in_flight_limit: How many messages of a queue may be in flight.

    Attributes:
        account: The queues, by name, URL and ARN.
    """

    def __init__(self, now: Callable[[], int], in_flight_limit: int) -> None:
        """Begin without queues."""
        self.account = Account(now, in_flight_limit)
        self._now = now
        self._sent = 0
        self._polls: set[asyncio.Task[Reply]] = set()
        self._operations: dict[str, Callable[[Params], Reply]] = {
            "ChangeMessageVisibility": self._change,
            "ChangeMessageVisibilityBatch": self._change_batch,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "PurgeQueue": self._purge,
            "ReceiveMessage": self._receive_now,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
        }

    def apply(self, call: Call) -> Reply:
        """Answer one call at once; a receive does not wait.

        Raises:
            CallRefused: As AWS refuses it, or the operation is none that ftq uses.
        """
        params = Params(call.operation, INVALID, call.request)
        operation = self._operations.get(call.operation)
        return operation(params) if operation is not None else self.account.apply(params)

    async def receive(self, call: Call) -> Reply:
        """Receive messages, waiting for the first as long as was asked for.

        A poll whose caller gives up goes on and may swallow messages, as on AWS.

        Raises:
            CallRefused: As AWS refuses it.
        """
        poll = asyncio.ensure_future(self._poll(Params(call.operation, INVALID, call.request)))
        self._polls.add(poll)
        poll.add_done_callback(self._polls.discard)
        return await asyncio.shield(poll)

    async def _poll(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        wait = _wait_seconds(params, queue)
        end = self._now() + wait * 1000
        while True:
            reply = self._receive(params, queue, waits=wait > 0)
            now = self._now()
            if reply or now >= end:
                return reply
            back = queue.next_visible()
            until = end if back is None else min(end, max(back, now + 1))
            await _woken(queue, (until - now) / 1000)

    def _receive_now(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        return self._receive(params, queue, waits=_wait_seconds(params, queue) > 0)

    def _receive(self, params: Params, queue: MemoryQueue, *, waits: bool) -> Reply:
        limit = params.number("MaxNumberOfMessages", 1, 1, SQS_BATCH_ENTRIES)
        default = queue.setting("VisibilityTimeout")
        visibility = params.number("VisibilityTimeout", default, 0, SQS_VISIBILITY_SECONDS)
        if queue.full and not waits:
            # "Amazon SQS queue quotas": a long poll just brings nothing.
            raise params.refused(
                "The maximum number of in flight messages is reached.", "OverLimit"
            )
        system = _asks_all(params, "MessageSystemAttributeNames", "AttributeNames")
        attributes = _asks_all(params, "MessageAttributeNames")
        taken = queue.take(limit, visibility)
        if not taken:
            return {}
        return {"Messages": [copy.show(system=system, attributes=attributes) for copy in taken]}

    # --- one by one ---------------------------------------------------------------------------

    def _send(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        return self._accept(params, queue, self._parcel(params))

    def _parcel(self, params: Params) -> Parcel:
        self._sent += 1
        return read_parcel(params, f"m{self._sent:08d}")

    def _accept(self, params: Params, queue: MemoryQueue, parcel: Parcel) -> dict[str, object]:
        limit = queue.setting("MaximumMessageSize")
        if parcel.size > limit:
            raise params.refused(f"Message must be shorter than {limit} bytes.")
        queue.add(parcel.copy, parcel.delay)
        return {"MessageId": parcel.copy.message_id}

    def _delete(self, params: Params) -> Reply:
        if not self.account.queue(params).delete(params.text("ReceiptHandle")):
            raise params.refused("The input receipt handle is invalid.", "ReceiptHandleIsInvalid")
        return {}

    def _change(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        seconds = params.number("VisibilityTimeout", -1, 0, SQS_VISIBILITY_SECONDS)
        fault = queue.change_visibility(params.text("ReceiptHandle"), seconds)
        if fault is not None:
            raise params.refused(fault.message, fault.code)
        return {}

    def _purge(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        if queue.purged_at is not None and self._now() < queue.purged_at + PURGE_SECONDS * 1000:
            message = f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            raise params.refused(message, "AWS.SimpleQueueService.PurgeQueueInProgress")
        queue.purge()
        return {}

    # --- in tens ------------------------------------------------------------------------------

    def _send_batch(self, params: Params) -> Reply:
        queue = self.account.queue(params)
        parcels: list[tuple[str, Params, Parcel]] = []
        done: list[dict[str, object]] = []
        failed: list[dict[str, object]] = []
        for entry_id, entry in _entries(params):
            try:
                parcels.append((entry_id, entry, self._parcel(entry)))
            except CallRefused as error:
                failed.append(as_entry_fault(entry_id, error))
        if sum(parcel.size for _, _, parcel in parcels) > BATCH_BYTES:
            message = f"Batch requests cannot be longer than {BATCH_BYTES} bytes."
            raise params.refused(message, "AWS.SimpleQueueService.BatchRequestTooLong")
        for entry_id, entry, parcel in parcels:
            try:
                done.append({"Id": entry_id, **self._accept(entry, queue, parcel)})
            except CallRefused as error:
                failed.append(as_entry_fault(entry_id, error))
        return _outcome(done, failed)

    def _delete_batch(self, params: Params) -> Reply:
        return self._each(params, self._delete)

    def _change_batch(self, params: Params) -> Reply:
        return self._each(params, self._change)

    def _each(self, params: Params, operation: Callable[[Params], Reply]) -> Reply:
        url = self.account.url(self.account.queue(params))
        done: list[dict[str, object]] = []
        failed: list[dict[str, object]] = []
        for entry_id, entry in _entries(params):
            try:
                operation(Params(entry.operation, INVALID, {**entry.values, "QueueUrl": url}))
                done.append({"Id": entry_id})
            except CallRefused as error:
                failed.append(as_entry_fault(entry_id, error))
        return _outcome(done, failed)


def _outcome(done: list[dict[str, object]], failed: list[dict[str, object]]) -> Reply:
    # Either list is left out when it is empty, as on AWS.
    lists = {"Successful": done, "Failed": failed}
    return {name: entries for name, entries in lists.items() if entries}


def _entries(params: Params) -> list[tuple[str, Params]]:
    entries = [(entry.text("Id"), entry) for entry in params.children("Entries")]
    ids = [entry_id for entry_id, _ in entries]
    fault, message = "", ""
    if not entries:
        fault, message = "EmptyBatchRequest", "There should be at least one entry in the request."
    elif len(entries) > SQS_BATCH_ENTRIES:
        fault, message = "TooManyEntriesInBatchRequest", f"At most {SQS_BATCH_ENTRIES} entries."
    elif len(set(ids)) < len(ids):
        fault, message = "BatchEntryIdsNotDistinct", "An Id is repeated."
    elif not all(_ENTRY_ID.fullmatch(each) for each in ids):
        fault, message = "InvalidBatchEntryId", "An Id has other characters, or more than 80."
    if fault:
        raise params.refused(message, f"AWS.SimpleQueueService.{fault}")
    return entries


def _wait_seconds(params: Params, queue: MemoryQueue) -> int:
    default = queue.setting("ReceiveMessageWaitTimeSeconds")
    return params.number("WaitTimeSeconds", default, 0, SQS_WAIT_SECONDS)


def _asks_all(params: Params, *names: str) -> bool:
    # ftq asks for all or for none; a choice of names would be answered with all.
    return any(params.values.get(name) for name in names)


async def _woken(queue: MemoryQueue, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    queue.wait(waiter)
    timer = loop.call_later(seconds, _resolve, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
