"""The handler that one usually writes: Powertools, boto3 and pydantic, clients made on import.

It does less than ftq's: it takes a task, stores it, sends it.
"""

import json
import os
import time
import uuid
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

logger = Logger(service="tasks")
metrics = Metrics(namespace="tasks", service="tasks")
app = APIGatewayHttpResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["FTQ_TABLE"])
queue = boto3.client("sqs")


class Submission(BaseModel):
    """What is asked for."""

    type: str = Field(min_length=1, max_length=128)
    payload: dict[str, Any]
    delay_seconds: int = Field(default=0, ge=0, le=900)


@app.post("/tasks")
def submit(task: Submission) -> Response[dict[str, str]]:
    """Store the task, then send it."""
    item = {"id": uuid.uuid4().hex, "type": task.type, "state": "queued"}
    body = json.dumps({**item, "payload": task.payload})
    table.put_item(
        Item={**item, "created_at": int(time.time() * 1000), "payload": body},
        ConditionExpression="attribute_not_exists(id)",
    )
    queue.send_message(QueueUrl=os.environ["FTQ_QUEUE_URL"], MessageBody=body)
    metrics.add_metric(name="submitted", unit=MetricUnit.Count, value=1)
    logger.info("task.submitted", task_id=item["id"])
    return Response(status_code=202, content_type="application/json", body=item)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
