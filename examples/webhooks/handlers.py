"""Webhooks: one task for each subscriber, so that none waits for another."""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import BaseModel

from ftq import Context, Registry, Reject, Retry, RetryPolicy

registry = Registry()
# Longer than a day is no answer that anybody waits for.
LONGEST_WAIT = 86_400.0


class Hook(BaseModel):
    """An event, on its way to one subscriber."""

    url: str
    event: str
    body: str


@registry.handler(
    "webhook.deliver",
    retry=RetryPolicy(attempts=8, base=1, cap=3600),
    timeout=30,
    breaker=False,  # each subscriber is a dependency of its own
)
def deliver(hook: Hook, context: Context) -> int:
    """Post it. A subscriber that gets it twice knows it by its ``Webhook-Id``."""
    secret = os.environ.get("WEBHOOK_SECRET", "secret").encode()
    headers = {
        "Webhook-Id": context.task_id,
        "Webhook-Event": hook.event,
        "Webhook-Signature": hmac.new(secret, hook.body.encode(), hashlib.sha256).hexdigest(),
    }
    answer = httpx.post(hook.url, content=hook.body, headers=headers, timeout=10)
    if answer.status_code == httpx.codes.GONE:
        raise Reject(f"{hook.url} wants no more of them")
    if answer.status_code in (429, 503) and "Retry-After" in answer.headers:
        # Being asked to come later is no failure: no attempt is spent.
        raise Retry(after=seconds_of(answer.headers["Retry-After"]), counts=False)
    answer.raise_for_status()
    return answer.status_code


def seconds_of(retry_after: str, now: datetime | None = None) -> float | None:
    """The seconds that a ``Retry-After`` asks for (RFC 9110, 10.2.3); None if it is no such."""
    try:
        if retry_after.isdigit():
            asked = float(retry_after)
        else:
            then = parsedate_to_datetime(retry_after)
            asked = (then - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(asked, 0.0), LONGEST_WAIT)
