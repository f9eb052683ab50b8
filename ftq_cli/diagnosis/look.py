"""Asks AWS for what the rules judge: nothing here changes a queue, a message or a record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from ftq.errors import CallError
from ftq.lifecycle import State
from ftq.limits import SHARDS
from ftq.ports import Call, Port, Reply
from ftq.task import bucket_in
from ftq.wire import create, index, queue
from ftq.wire.table import read_page
from ftq_cli.diagnosis import permissions, queues, table
from ftq_cli.diagnosis.finding import Finding, command, right, unknown, wrong
from ftq_cli.diagnosis.permissions import DENIED, Probe, granting, judged, tried
from ftq_cli.diagnosis.program import OVERDUE_SECONDS
from ftq_cli.diagnosis.queues import Attributes
from ftq_cli.diagnosis.wanted import Wanted

_OVERDUE_SHOWN: Final = 10
_ABSENT: Final = frozenset({"NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException"})
_ON: Final = re.compile(r"on resource: (arn:\S+)")


class Look:
    """A look at queues and table.

    Args:
        port: Makes the calls.
        wanted: What the settings say.
        daemon: Whether the credentials are a daemon's own.

    Attributes:
        findings: What was found so far.
    """

    def __init__(self, port: Port, wanted: Wanted, *, daemon: bool) -> None:
        """Nothing is asked yet."""
        self.findings: list[Finding] = []
        self._port = port
        self._wanted = wanted
        self._daemon = daemon

    async def everything(self, now: datetime) -> int | None:
        """Look at it all; how many open tasks nobody has looked at, if that is known."""
        wanted, dead = self._wanted, None
        if wanted.dlq_url:
            dead = await self._attributes("dead-letter queue", wanted.dlq_url, None)
        self.findings.append(queues.differ(wanted))
        for name, url in {"": wanted.queue_url, **wanted.more}.items():
            await self._queue(name, url, dead)
        if dead is not None:
            self.findings += queues.dead_letters(wanted, dead)
            probes = permissions.of_queue(wanted.dlq_url, dead_letters=True)
            await self._try("dead-letter queue", [dead.get("QueueArn", "")], probes)
        return await self._table(wanted.table, now)

    async def _queue(self, name: str, url: str, dead: Attributes | None) -> None:
        what, suffix = (f"queue {name}", f", {name}") if name else ("queue", "")
        dlq_arn = None if dead is None else dead.get("QueueArn")
        found = await self._attributes(what, url, dlq_arn)
        if found is None:
            return
        judged = queues.queues(self._wanted, url, found, dead)
        self.findings += [replace(each, name=f"{each.name}{suffix}") for each in judged]
        await self._try(what, [found.get("QueueArn", "")], permissions.of_queue(url))

    async def _table(self, name: str, now: datetime) -> int | None:
        described = await self._asked(
            "table",
            name,
            Call("dynamodb", "DescribeTable", {"TableName": name}),
            create.table(name),
        )
        if described is None:
            return None
        on_aws = self._wanted.on_aws
        self.findings += table.table(name, described, on_aws=on_aws)
        await self._more("DescribeTimeToLive", "time to live", lambda said: table.ttl(name, said))
        await self._more(
            "DescribeContinuousBackups",
            "point-in-time recovery",
            lambda said: table.backups(name, said, on_aws=on_aws),
        )
        arn = table.arn(described)
        query = index.page(name, bucket_in(0, State.QUEUED), 1)
        arns = [arn, f"{arn}/index/*"] if arn else [""]
        await self._try("table", arns, permissions.of_table(name, query))
        return await self._overdue(name, now)

    async def _try(self, name: str, arns: list[str], probes: list[Probe]) -> None:
        found = await tried(self._port, probes)
        self.findings += judged(name, arns, found, daemon=self._daemon)

    async def _attributes(self, name: str, url: str, dlq_arn: str | None) -> Attributes | None:
        make = create.queue(url.rsplit("/", 1)[-1], dlq_arn)
        reply = await self._asked(name, url, queue.depth(url), make)
        return None if reply is None else queue.read_attributes(reply)

    async def _asked(self, name: str, what: str, call: Call, make: Call) -> Reply | None:
        """Ask for what has to be there; `make` would make it."""
        try:
            reply = await self._port.call(call)
        except CallError as error:
            self.findings.append(_absent(name, what, call, error, make))
            return None
        self.findings.append(right(name, what))
        return reply

    async def _more(self, operation: str, name: str, judge: Callable[[Reply], Finding]) -> None:
        """Ask for what a stand-in may not know, and not everybody may ask."""
        call = Call("dynamodb", operation, {"TableName": self._wanted.table})
        try:
            self.findings.append(judge(await self._port.call(call)))
        except CallError as error:
            self.findings.append(unknown(name, f"cannot be asked: {error.code}"))

    async def _overdue(self, name: str, now: datetime) -> int | None:
        until = int(now.timestamp() * 1000) - OVERDUE_SECONDS * 1000
        count = 0
        try:
            for shard in range(SHARDS):
                bucket = bucket_in(shard, State.QUEUED)
                asked = index.page(name, bucket, _OVERDUE_SHOWN, until=until)
                items, _ = read_page(await self._port.call(asked))
                count += len(items)
        except CallError:
            return None
        return count


def _absent(name: str, what: str, call: Call, error: CallError, make: Call) -> Finding:
    """What is to be said of something that cannot be asked."""
    code, mend = error.code.rsplit(".", 1)[-1], ""
    detail = f"{what}: {error.code}: mend the setting, the endpoint or the credentials"
    if code in DENIED:
        detail = f"{what}: {error.code}: you may not ask it"
        mend = granting([f"{call.service}:{call.operation}"], [_resource(error)], str(error))
    elif code in _ABSENT:
        detail = f"{what}: {error.code}: create it, or mend the setting"
        mend = command(make)
    return wrong(name, detail, mend)


def _resource(error: CallError) -> str:
    """What a refusal is about, by AWS's words; all, where they do not say."""
    found = _ON.search(str(error))
    return found[1] if found else "*"
