"""GET /health: whether tasks can be accepted."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api_lambda.http import Request, Response
from api_lambda.service import Service
from ftq.wire import table


class Health(TypedDict):
    """Tasks can be accepted.

    Attributes:
        status: ok.
    """

    status: Literal["ok"]


def health(service: Service, request: Request) -> Response:
    """Whether tasks can be accepted: whether the table answers. The queue may be down."""
    service.port.call(table.get(service.table, "health"))
    told: Health = {"status": "ok"}
    return Response(200, told)
