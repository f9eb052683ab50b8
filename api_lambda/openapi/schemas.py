"""The models as JSON Schema, their attributes described by their own docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, cast

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api_lambda.asked import BatchFields, EntryFields
from api_lambda.openapi.operations import OPERATIONS
from api_lambda.problems import ProblemDocument
from ftq.text import Json

_PLACE: Final = "#/components/schemas/"
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


class _Plain(GenerateJsonSchema):
    """Without a title for each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def ref(model: type) -> dict[str, Json]:
    """A reference to a model's schema."""
    return {"$ref": f"{_PLACE}{model.__name__}"}


def schemas() -> Json:
    """Every schema by name."""
    _, found = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in _models()],
        ref_template=f"{_PLACE}{{model}}",
        schema_generator=_Plain,
    )
    made = {name: _described(found["$defs"][name]) for name in sorted(found["$defs"])}
    # Each is read by itself, so the model takes any: what it should be is said here.
    fields = cast(dict[str, dict[str, Json]], made[BatchFields.__name__]["properties"])
    fields["tasks"]["items"] = ref(EntryFields)
    return {**made}


def _models() -> Iterable[type]:
    found: dict[type, None] = dict.fromkeys((EntryFields, ProblemDocument))
    for operation in OPERATIONS.values():
        found |= dict.fromkeys(filter(None, (operation.asks, operation.answer)))
    return found


def _described(schema: dict[str, Json]) -> dict[str, Json]:
    """A schema whose docstring is taken apart: first what it is, then its attributes."""
    said, _, attributes = str(schema.get("description", "")).partition("\n\nAttributes:\n")
    schema["description"] = " ".join(said.split())
    fields = cast(dict[str, dict[str, Json]], schema.get("properties", {}))
    for name, meaning in _ATTRIBUTE.findall(attributes):
        if name in fields:
            fields[name]["description"] = " ".join(meaning.split())
    return schema
