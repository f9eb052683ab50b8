"""Answers held against what the API's description says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import jsonschema_rs

from api_lambda.openapi.document import document
from api_lambda.openapi.operations import OPERATIONS
from ftq.text import Json

_PATHS: Final = document()["paths"]
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)")


def is_described(
    method: str, path: str, status: int, headers: Mapping[str, str], body: str
) -> None:
    """Fail unless the answer is one that the description has; other routes are not its concern."""
    for verb, template in OPERATIONS:
        there = re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        # A 405 is no answer of an operation.
        if there and verb == method and status != 405:
            faults = faults_of(verb, template, status, headers.get("content-type", ""), body)
            assert faults == [], (method, path, status, body[:2000])
            return


def faults_of(method: str, path: str, status: int, media_type: str, body: str) -> list[str]:
    """What is not as the description of a route has it."""
    validator = _validators().get((method, path, status, media_type.partition(";")[0]))
    if validator is None:
        return [f"{status} as {media_type} is not described"]
    said = json.loads(body) if "json" in media_type else body
    return [each.message for each in validator.iter_errors(said)]


def schema_faults(schema: Json, value: Json) -> list[str]:
    """What is wrong with a value by a schema of the description."""
    return [each.message for each in _validator(schema).iter_errors(value)]


@cache
def _validators() -> Mapping[tuple[str, str, int, str], jsonschema_rs.Draft202012Validator]:
    return {
        (method, path, int(status), media_type): _validator(_at(media, "schema"))
        for method, path in OPERATIONS
        for status, response in _at(_PATHS, path, method.lower(), "responses").items()
        for media_type, media in _at(response, "content").items()
    }


def _at(value: Json, *path: str) -> dict[str, Json]:
    for step in path:
        assert isinstance(value, dict)
        value = value[step]
    assert isinstance(value, dict)
    return value


def _validator(schema: Json) -> jsonschema_rs.Draft202012Validator:
    whole = {"allOf": [_closed(schema)], "components": _closed(document()["components"])}
    return jsonschema_rs.Draft202012Validator(
        whole, validate_formats=True, formats={"date-time": lambda it: bool(_MOMENT.fullmatch(it))}
    )


def _closed(value: Json) -> Json:
    """A schema by which an object has the members that are named, and no other."""
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: _closed(each) for name, each in value.items()}
    return {"additionalProperties": False, **made} if "required" in made else made
