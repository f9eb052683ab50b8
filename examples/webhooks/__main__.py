"""``python -m examples.webhooks``: four subscribers, each with a mind of its own."""

from __future__ import annotations

from examples.stage import stage
from examples.webhooks.handlers import Hook, deliver
from examples.webhooks.subscribers import Subscribers

PATHS = ("/quick", "/busy", "/flaky", "/gone")


def main() -> int:
    """Tell all subscribers of an order; 0 if all of it came to its end."""
    with Subscribers() as them, stage("examples.webhooks.handlers:registry") as it:
        ids = {}
        for path in PATHS:
            hook = Hook(url=them.url(path), event="order.paid", body='{"order": 17}')
            # Repeating this loop after a crash sends nothing twice.
            ids[it.client.submit(deliver, hook, key=f"order-17-paid{path}").id] = path
        tasks = it.follow(ids, "One event, four subscribers; /busy says Retry-After: 2, twice")
        for path, times in sorted(them.asked.items()):
            it.console.print(f"{path} was asked {times} times", markup=False)
    ended = {ids[task.id]: (task.state, task.attempts) for task in tasks}
    wanted = {"/quick": ("succeeded", 0), "/busy": ("succeeded", 0), "/flaky": ("succeeded", 2)}
    return 0 if ended == {**wanted, "/gone": ("dead", 1)} else 1


if __name__ == "__main__":
    raise SystemExit(main())
