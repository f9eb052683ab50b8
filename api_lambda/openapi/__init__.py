"""GET /openapi.json: the API's own description, OpenAPI 3.1."""

from __future__ import annotations

from api_lambda.http import Request, Response
from api_lambda.openapi.document import document
from api_lambda.params import read_query
from api_lambda.service import Service


def openapi(service: Service, request: Request) -> Response:
    """The document, made from the models when it is first asked for."""
    read_query(request)
    servers = [{"url": request.prefix or "/"}]
    return Response(200, {**document(), "servers": servers})
