"""Puts the document together: operations, schemas, and examples that really happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

from api_lambda.openapi.operations import OPERATIONS, Link, Operation, Parameter
from api_lambda.openapi.schemas import ref, schemas
from api_lambda.problems import BUG, INVALID, MEDIA_TYPE, UNAVAILABLE, Kind, ProblemDocument
from ftq.limits import CORRELATION_PATTERN
from ftq.text import Json, parse

# Of what a client sends and gets, not of the code.
VERSION: Final = "1"
# Made by `python -m tests.unit.api.examples`, and held against the API by its tests.
EXAMPLES: Final = Path(__file__).with_name("examples.json")
_CORRELATION: Final[Json] = {
    "type": "string",
    "pattern": f"^(?:{CORRELATION_PATTERN.pattern})$",
}
# How any request may end, whatever its route.
_ANYWHERE: Final = (INVALID, BUG, UNAVAILABLE)
_TAGS: Final = {
    "submit": "Hand tasks in.",
    "tasks": "See what became of them.",
    "operate": "Cancel, and give the dead another life.",
    "service": "How the service itself is.",
}


@lru_cache(maxsize=1)
def document() -> Mapping[str, Json]:
    """The whole document, but for where it is served."""
    examples = cast(list[Mapping[str, Json]], parse(EXAMPLES.read_bytes()))
    paths: dict[str, Json] = {}
    for (method, path), operation in OPERATIONS.items():
        of_it = [each for each in examples if each["operation"] == operation.id]
        here = cast(dict[str, Json], paths.setdefault(path, {}))
        here[method.lower()] = _operation(operation, of_it)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ftq",
            "version": VERSION,
            "summary": "A fault-tolerant task queue on AWS.",
            "description": "Unknown fields, and unknown or repeated query parameters, are refused.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        # Who may ask is API Gateway's to decide; the local mode asks nobody.
        "security": [{}, {"sigv4": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "parameters": {
                "CorrelationId": {
                    "name": "X-Correlation-Id",
                    "in": "header",
                    "description": "Follows the request, and its tasks, through every program. "
                    "A fresh one if none is given.",
                    "schema": _CORRELATION,
                }
            },
            "headers": {
                "CorrelationId": {
                    "description": "The request's, or a fresh one.",
                    "required": True,
                    "schema": _CORRELATION,
                },
                "Location": {
                    "description": "Where the task is found.",
                    "required": True,
                    "schema": {"type": "string", "format": "uri-reference"},
                },
                "RetryAfter": {
                    "description": "Seconds after which to try again.",
                    "schema": {"type": "integer", "minimum": 0},
                },
            },
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4, for the service execute-api.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def _operation(operation: Operation, examples: Sequence[Mapping[str, Json]]) -> Json:
    made: dict[str, Json] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [
            *(_parameter(each, operation.status, examples) for each in operation.parameters),
            {"$ref": "#/components/parameters/CorrelationId"},
        ],
        "responses": _responses(operation, examples),
    }
    if operation.asks is not None:
        bodies = {
            str(each["name"]): {"summary": each["summary"], "value": each["body"]}
            for each in examples
            if "body" in each and each["status"] == operation.status
        }
        content = {"schema": ref(operation.asks), **_if_any("examples", bodies)}
        made["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": content},
        }
    return made


def _parameter(parameter: Parameter, status: int, examples: Sequence[Mapping[str, Json]]) -> Json:
    given: dict[str, Json] = {}
    for each in examples:
        values = each.get("parameters", {})
        good = each["status"] == status
        if good and isinstance(values, dict) and parameter.name in values:
            given[str(each["name"])] = {"value": values[parameter.name]}
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.meaning,
        "required": parameter.where == "path",
        "schema": {**parameter.schema},
        **_if_any("examples", given),
    }


def _responses(operation: Operation, examples: Sequence[Mapping[str, Json]]) -> Json:
    headers: dict[str, Json] = {"X-Correlation-Id": {"$ref": "#/components/headers/CorrelationId"}}
    if operation.location:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    schema: Json = {"type": "object" if "json" in operation.media_type else "string"}
    if operation.answer is not None:
        schema = ref(operation.answer)
    good: dict[str, Json] = {
        "description": operation.summary,
        "headers": headers,
        "content": {operation.media_type: {"schema": schema, **_told(examples, operation.status)}},
        **_if_any("links", {name: _link(each) for name, each in (operation.links or {}).items()}),
    }
    kinds: dict[int, list[Kind]] = {}
    for kind in sorted(
        {*operation.problems, *_ANYWHERE}, key=lambda each: (each.status, each.slug)
    ):
        kinds.setdefault(kind.status, []).append(kind)
    bad = {str(status): _problem(status, each, examples) for status, each in kinds.items()}
    return {str(operation.status): good, **bad}


def _problem(status: int, kinds: Sequence[Kind], examples: Sequence[Mapping[str, Json]]) -> Json:
    headers: dict[str, Json] = {"X-Correlation-Id": {"$ref": "#/components/headers/CorrelationId"}}
    if status == UNAVAILABLE.status:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    types: list[Json] = [kind.type for kind in kinds]
    schema: Json = {
        "allOf": [
            ref(ProblemDocument),
            {"properties": {"type": {"enum": types}, "status": {"const": status}}},
        ]
    }
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": schema, **_told(examples, status)}},
    }


def _told(examples: Sequence[Mapping[str, Json]], status: int) -> dict[str, Json]:
    return _if_any(
        "examples",
        {
            str(each["name"]): {"summary": each["summary"], "value": each["answer"]}
            for each in examples
            if each["status"] == status
        },
    )


def _link(link: Link) -> Json:
    made: dict[str, Json] = {"operationId": link.operation, "parameters": {**link.parameters}}
    return {**made, "requestBody": {**link.body}} if link.body is not None else made


def _if_any(name: str, found: Mapping[str, Json]) -> dict[str, Json]:
    return {name: {**found}} if found else {}
