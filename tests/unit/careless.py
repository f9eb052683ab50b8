"""Handlers that are as careless with secrets as they can be. Each secret is another one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import warnings

import structlog
from aws_xray_sdk.core import xray_recorder
from opentelemetry import trace
from pydantic import BaseModel, field_validator

from ftq import Context, Registry, Reject

BIRD = "hunter2"
"""Stands in each secret, so that a leak is seen."""
JWT = f"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ{BIRD}.{BIRD}-jwt"
registry = Registry()


class Login(BaseModel):
    user: str = ""
    pin: str = ""

    @field_validator("user")
    @classmethod
    def _known(cls, user: str) -> str:
        print(f"token={user}-validated")  # noqa: T201  # as validators may
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"api_key={user}-validated", stacklevel=1)
        if user.startswith("bad"):
            raise ValueError(f"no such user: password={user} iban={user}")
        return user


@registry.handler("nest.raise")
async def raise_(payload: dict[str, str]) -> None:
    secret = f"{BIRD}-local"
    try:
        raise KeyError(f"secret={BIRD}-cause", secret)
    except KeyError as error:
        url = f"https://u:{BIRD}-userinfo@h/?X-Amz-Signature={BIRD}-signed {payload['jwt']}"
        raise ValueError(f"{url} token={BIRD}-message iban={BIRD}-named") from error


@registry.handler("nest.reject")
async def reject(_: object) -> None:
    raise Reject(json.dumps({"apiKey": f"{BIRD}-reason"}))


@registry.handler("nest.say")
async def say(_: object, context: Context) -> dict[str, str]:
    structlog.get_logger("shop").info(
        "in", password=f"{BIRD}-structlog", auth={"a": f"{BIRD}-nested"}
    )
    logging.getLogger("urllib3").warning("Authorization: Bearer %s", f"{BIRD}-foreign")
    own = logging.getLogger("own")
    own.propagate, own.handlers = False, [logging.StreamHandler()]
    own.error("cookie: %s", f"{BIRD}-own-handler")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"api_key={BIRD}-warning", stacklevel=1)
    print(f"passwd: {BIRD}-printed")  # noqa: T201  # as handlers do
    sys.stderr.write(f"pwd={BIRD}-stderr\n")
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"token={BIRD}-loop", "exception": OSError(f"secret={BIRD}-loop-error")}
    )
    dies = threading.Thread(target=int, args=(f"password={BIRD}-thread",))
    dies.start()
    dies.join()
    await context.progress({"note": f"{BIRD}-progress"})
    return {"token": f"{BIRD}-result"}


@registry.handler("nest.trace")
async def trace_(_: object) -> None:
    with xray_recorder.in_subsegment(f"token={BIRD}-part") as part:
        if part is not None:
            part.put_annotation("iban", f"{BIRD}-annotation")
            part.put_metadata("headers", {"Authorization": f"Bearer {BIRD}-metadata"})
            part.put_http_meta("url", f"https://user:{BIRD}-meta@example.org/")
        with xray_recorder.in_subsegment("below") as below:
            if below is not None:
                below.sql = {"url": f"postgres://u:{BIRD}-sql@h/", "query": f"pin={BIRD}-query"}
            _open_span()
            raise OSError(f"password={BIRD}-raised iban={BIRD}-too")


def _open_span() -> None:
    link = trace.Link(trace.get_current_span().get_span_context(), {"api_key": f"{BIRD}-link"})
    tracer = trace.get_tracer("nest")
    with tracer.start_as_current_span(f"secret={BIRD}-span", links=[link]) as span:
        span.set_attribute("iban", f"{BIRD}-attribute")
        span.set_attribute("urls", [f"https://u:{BIRD}-listed@h/"])
        span.add_event(f"token={BIRD}-event", {"authorization": f"Bearer {BIRD}-about"})
        span.record_exception(ValueError(f"password={BIRD}-recorded"))
        span.set_status(trace.StatusCode.ERROR, f"cookie: {BIRD}-status")


@registry.handler("nest.login")
async def login(_: Login) -> None:
    raise AssertionError("its payload is not valid")
