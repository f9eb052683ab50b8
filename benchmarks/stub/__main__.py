"""``python -m benchmarks.stub``: serve SQS and DynamoDB until SIGTERM.

Beside AWS's protocols it tells what it has seen:

    GET /_stub/health   is it there
    GET /_stub/stats    calls and entries by operation, messages by fate, its own CPU
    GET /_stub/states   records by state
    GET /_stub/times    when each message was sent and each record settled
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections import Counter
from typing import Final, cast

import uvloop

from benchmarks.stub import fastjson, sqs, table
from benchmarks.stub.http import BAD, JSON, OK, Connection, GiveUp, Respond
from benchmarks.stub.refusal import Refusal

HOST: Final = "127.0.0.1"


class Stub:
    """Routes requests to the two halves, and counts them.

    Args:
        base: The URL that queues' URLs begin with.
    """

    def __init__(self, base: str) -> None:
        """Start empty."""
        self.queues = sqs.Queues(base)
        self.tables = table.Tables()
        self.calls: Counter[str] = Counter()

    def serve(self, target: bytes, path: bytes, body: bytes, respond: Respond) -> GiveUp | None:
        """Answer one request."""
        service, _, operation = target.decode().partition(".")
        try:
            if service == "DynamoDB_20120810" and operation in self.tables.operations:
                self.calls[operation] += 1
                call = cast("table.Request", fastjson.loads(body))
                respond(OK, self.tables.operations[operation](call))
            elif service == "AmazonSQS":
                return self._sqs(operation, body, respond)
            elif not service and path.startswith(b"/_stub/"):
                respond(OK, self._told(path.decode()), JSON)
            else:
                raise Refusal("UnknownOperationException", f"the stub has no {target.decode()}")
        except Refusal as refusal:
            respond(BAD, refusal.body)
        except (KeyError, TypeError, ValueError) as error:
            respond(BAD, {"__type": "ValidationException", "message": repr(error)})
        return None

    def _sqs(self, operation: str, body: bytes, respond: Respond) -> GiveUp | None:
        self.calls[operation] += 1
        request = cast("sqs.Request", fastjson.loads(body))
        if operation == "ReceiveMessage":
            return self.queues.receive(request, lambda reply: respond(OK, reply))
        if operation not in self.queues.operations:
            raise Refusal("com.amazon.coral.service#UnknownOperationException", operation)
        respond(OK, self.queues.operations[operation](request))
        return None

    def _told(self, path: str) -> object:
        queues = self.queues.all.values()
        match path:
            case "/_stub/health":
                return {"json": fastjson.NAME, "pid": os.getpid()}
            case "/_stub/stats":
                return {
                    "calls": self.calls,
                    "entries": self.queues.entries + self.tables.entries,
                    "deleted": sum(queue.deleted for queue in queues),
                    "last_deleted": max((queue.last_deleted for queue in queues), default=0),
                    "settled": len(self.tables.settled),
                    "refused": self.tables.refused,
                    "waiting": sum(queue.waiting for queue in queues),
                    "hidden": sum(queue.hidden for queue in queues),
                    "now": time.monotonic_ns(),
                    "cpu": time.process_time(),
                }
            case "/_stub/states":
                return self.tables.states()
            case "/_stub/times":
                sent = {name: at for queue in queues for name, at in queue.sent.items()}
                return {"sent": sent, "settled": self.tables.settled}
            case _:
                raise Refusal("NotFound", path)


async def _main(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stub = Stub(f"http://{HOST}:{port}")
    server = await loop.create_server(lambda: Connection(stub.serve), HOST, port)
    async with server:
        await stop.wait()
        server.close()


if __name__ == "__main__":
    if cpu := os.environ.get("FTQ_STUB_CPU"):
        os.sched_setaffinity(0, {int(cpu)})
    # Items and messages live until the end: looking for garbage among them costs, and finds none.
    gc.disable()
    uvloop.run(_main(int(os.environ["FTQ_STUB_PORT"])))
