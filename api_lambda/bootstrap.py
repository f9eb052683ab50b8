"""Wires the API, on the first request and not on import."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from api_lambda.log import configure, printed
from api_lambda.metrics import Teller
from api_lambda.printed import take_over
from api_lambda.routes import Api
from api_lambda.service import Service
from api_lambda.settings import ApiSettings
from ftq.aws import connect
from ftq.errors import SettingsError
from ftq.ports import SyncPort
from ftq.settings import queues_of, read
from ftq.submission import Terms

if TYPE_CHECKING:
    from ftq.registry import Registry


@lru_cache(maxsize=1)
def api() -> Api:
    """This process's API, made from the environment on the first call.

    Raises:
        SettingsError: A setting is missing or out of bounds.
        RegistryError: The handlers cannot be loaded.
    """
    settings = read(ApiSettings, os.environ)
    configure(settings.log_level, settings.redact)
    take_over(printed)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return build(settings, connect(region, settings.api_client))


def build(settings: ApiSettings, port: SyncPort, environ: Mapping[str, str] = os.environ) -> Api:
    """An API on the given settings and port, with the real clocks.

    Raises:
        SettingsError: A handler's queue is not among those that are named.
        RegistryError: The handlers cannot be loaded.
    """
    queues = {each.name: each.url for each in queues_of(settings.queue_url, settings.queues)}
    terms = Terms(
        queue_url=settings.queue_url,
        queues=queues,
        grace=settings.sweep_grace_seconds * 1000,
        retention=settings.retention_days * 24 * 3600 * 1000,
    )
    registry = _load(settings.handlers) if settings.handlers else None
    for handler in registry or ():
        if handler.queue and handler.queue not in queues:
            known = ", ".join(queues)
            problem = f"FTQ_QUEUES: {handler.type} goes to {handler.queue!r}; there is {known}"
            raise SettingsError([problem])
    teller = Teller.of(settings.service, registry, _now)
    return Api(
        Service(
            port=port,
            table=settings.table,
            terms=terms,
            registry=registry,
            now=_now,
            monotonic=time.monotonic,
            fresh=lambda: uuid.uuid4().hex,
            # The runtime sets it anew for each invocation.
            trace=lambda: environ.get("_X_AMZN_TRACE_ID", ""),
            dlq_url=settings.dlq_url or "",
            tell=teller.submissions if settings.emf == "on" else lambda answered: None,
            console=settings.console,
            audits_all=settings.audit == "all",
            sleep=time.sleep,
            names=settings.redact,
        ),
        frozenset(settings.cors_origins),
        settings.log_sample,
    )


def _load(path: str) -> Registry:
    # Only where there are handlers: what they are declared with takes its time to load.
    from ftq.registry import load

    return load(path)


def _now() -> int:
    return time.time_ns() // 1_000_000
