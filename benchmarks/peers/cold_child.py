"""One cold start: import a handler, answer a first request, then more; prints JSON of seconds."""

import importlib
import json
import sys
import time
from statistics import median

_WARM = 30


class Context:
    """What the runtime tells a handler, as far as these two look at it."""

    function_name = "api"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:api"
    aws_request_id = "5a17e0d2-8d5f-4f6e-9d0b-000000000000"


def event(number: int) -> dict[str, object]:
    """A submission, as API Gateway's HTTP API sends it."""
    body = {"type": "noop", "payload": {"number": number, "text": "x" * 64}}
    path = {"method": "POST", "path": "/tasks", "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/tasks",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": path, "stage": "$default", "requestId": "1"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def main() -> None:
    """Measure the module that is named."""
    # Handlers log to standard output, and ours makes log lines of what others print there.
    out = sys.stdout
    clocks = time.perf_counter, time.process_time
    start = [clock() for clock in clocks]
    handler = importlib.import_module(sys.argv[1]).handler
    imported = [clock() for clock in clocks]
    answers = [handler(event(0), Context())]
    first = [clock() for clock in clocks]
    warm = []
    for number in range(1, _WARM + 1):
        began = time.perf_counter(), time.process_time()
        answers.append(handler(event(number), Context()))
        warm.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    statuses = {answer["statusCode"] for answer in answers}
    assert statuses == {202}, answers[-1]
    found = {
        "import": [imported[0] - start[0], imported[1] - start[1]],
        "first": [first[0] - imported[0], first[1] - imported[1]],
        "warm": [median(wall for wall, _ in warm), median(cpu for _, cpu in warm)],
    }
    print(f"\n{json.dumps(found)}", file=out)


if __name__ == "__main__":
    main()
