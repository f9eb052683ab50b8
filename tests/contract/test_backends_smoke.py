"""Every backend that this machine has answers as AWS's SDK expects."""

from __future__ import annotations

import secrets

import pytest
from aiobotocore.session import get_session

from tests.backends import eventually


@pytest.mark.both_loops
@pytest.mark.parametrize("backend", ["ministack", "localstack"])
async def test_a_queue_hands_out_what_was_sent(
    backend: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{backend}_url")
    async with get_session().create_client("sqs", endpoint_url=url) as sqs:
        queue = (await sqs.create_queue(QueueName=f"smoke-{secrets.token_hex(4)}"))["QueueUrl"]
        await sqs.send_message(QueueUrl=queue, MessageBody="hello")

        async def received() -> list[str]:
            reply = await sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
            return [message["Body"] for message in reply.get("Messages", [])]

        assert await eventually(received) == ["hello"]


@pytest.mark.both_loops
@pytest.mark.parametrize("backend", ["ministack"])
async def test_a_table_keeps_what_was_put(backend: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{backend}_url")
    table, item = f"smoke-{secrets.token_hex(4)}", {"id": {"S": "a"}, "n": {"N": "1"}}
    async with get_session().create_client("dynamodb", endpoint_url=url) as dynamodb:
        await dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        await dynamodb.get_waiter("table_exists").wait(TableName=table)
        await dynamodb.put_item(TableName=table, Item=item)
        reply = await dynamodb.get_item(TableName=table, Key={"id": {"S": "a"}})
        await dynamodb.delete_table(TableName=table)
    assert reply["Item"] == item
