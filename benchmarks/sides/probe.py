"""``python -m benchmarks.sides.probe``: the floor's calls by the barest client there can be.

aiohttp, a signature, orjson, and nothing else: no retries, no errors, no credentials that change,
no proxies. What the hot lane costs beyond it is the price of being right.
"""

from __future__ import annotations

import os
import time
from typing import Final

import aiohttp
import orjson
import uvloop

from benchmarks.side import Side
from benchmarks.sides.floor import work
from benchmarks.sides.place import Place
from ftq.ports import Call, Reply
from ftq.wire.sign import MOMENT, Scope, Signer

TARGETS: Final = {"sqs": "AmazonSQS", "dynamodb": "DynamoDB_20120810"}

SIDE: Final = Side(
    name="probe",
    says="the same calls by aiohttp, a signature and orjson alone",
    command=("-m", "benchmarks.sides.probe"),
    kind="limit",
)


class _Keys:
    access_key: Final = os.environ.get("AWS_ACCESS_KEY_ID", "")
    secret_key: Final = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    token: Final = None


class Probe:
    """Makes calls, as long as nothing goes wrong."""

    def __init__(self, http: aiohttp.ClientSession, url: str, region: str) -> None:
        """Keep where to."""
        self._http = http
        self._url = url
        self._region = region
        self._signers: dict[str, Signer] = {}

    async def call(self, call: Call) -> Reply:
        """Make one call."""
        signer = self._signers.get(call.operation)
        if signer is None:
            headers = {
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"{TARGETS[call.service]}.{call.operation}",
            }
            signer = Signer(self._url, headers, Scope(self._region, call.service))
            self._signers[call.operation] = signer
        body = orjson.dumps(call.request)
        signed = signer.sign(body, _Keys, time.strftime(MOMENT, time.gmtime()))
        async with self._http.post(self._url, data=body, headers=signed) as answer:
            content = await answer.read()
        assert answer.status == 200, content
        reply: Reply = orjson.loads(content)
        return reply


async def main() -> None:
    """Work until killed."""
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
        port = Probe(http, os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"])
        await work(Place(os.environ["FTQ_QUEUE_URL"], os.environ["FTQ_TABLE"], port, port))


if __name__ == "__main__":
    uvloop.run(main())
