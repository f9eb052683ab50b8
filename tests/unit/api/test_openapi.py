"""GET /openapi.json: what it says is what the API does."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import validate

from api_lambda.openapi.document import EXAMPLES, document
from api_lambda.openapi.operations import OPERATIONS
from api_lambda.routes import ROUTES
from ftq.text import Json, parse
from tests.unit.api.described import schema_faults
from tests.unit.api.door import Door, dig
from tests.unit.api.examples import SCENES, Example, played

DOCUMENT: Json = {**document()}


def _names(scene: Example) -> str:
    return f"{scene.operation}-{scene.name}"


def _operation(operation_id: str) -> Json:
    for (method, path), each in OPERATIONS.items():
        if each.id == operation_id:
            return dig(DOCUMENT, "paths", path, method.lower())
    raise AssertionError(operation_id)


def test_it_is_served_as_openapi_3_1(door: Door) -> None:
    got = door.ask("GET", "/openapi.json")
    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    assert got.doc["openapi"] == "3.1.0"
    assert got.doc["servers"] == [{"url": "/"}]
    validate(got.doc)
    assert door.port.calls == []


def test_behind_a_stage_it_says_so(door: Door) -> None:
    got = door.ask("GET", "/prod/openapi.json", stage="prod")
    assert got.doc["servers"] == [{"url": "/prod"}]


def test_it_has_every_route_and_no_other() -> None:
    assert list(OPERATIONS) == [(method, path) for method, path, _ in ROUTES]
    ids = [each.id for each in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


def test_its_links_lead_to_operations_and_their_parameters() -> None:
    of_id = {each.id: each for each in OPERATIONS.values()}
    for operation in OPERATIONS.values():
        for link in (operation.links or {}).values():
            there = of_id[link.operation]
            assert set(link.parameters) <= {each.name for each in there.parameters}


@pytest.mark.parametrize("route", [route for route in OPERATIONS if route[0] == "GET"], ids=str)
def test_a_query_has_the_parameters_that_it_says(door: Door, route: tuple[str, str]) -> None:
    if route[1] == "/health":
        return  # it takes what it is given: load balancers add their own
    got = door.ask("GET", f"{route[1].replace('{id}', 'x')}?nothing=1")
    [error] = [dig(each, "message") for each in _list(got.doc["errors"])]
    named = re.findall(r"parameters here are (.*)", str(error))
    known = [each.name for each in OPERATIONS[route].parameters if each.where == "query"]
    assert named == ([", ".join(known)] if known else [])


def _list(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


# --- examples ---------------------------------------------------------------------------------


def test_the_examples_are_those_that_are_played() -> None:
    stored = _list(parse(EXAMPLES.read_bytes()))
    assert [f"{dig(each, 'operation')}-{dig(each, 'name')}" for each in stored] == [
        _names(scene) for scene in SCENES
    ]


@pytest.mark.parametrize("scene", SCENES, ids=_names)
def test_an_example_is_what_happens(scene: Example) -> None:
    stored = _list(parse(EXAMPLES.read_bytes()))[SCENES.index(scene)]
    assert played(scene) == stored, "python -m tests.unit.api.examples writes them anew"


@pytest.mark.parametrize("scene", SCENES, ids=_names)
def test_an_example_has_the_documented_shape(scene: Example) -> None:
    said, operation = played(scene), _operation(scene.operation)
    answer = dig(operation, "responses", str(said["status"]), "content")
    assert isinstance(answer, dict)
    ((_, media),) = answer.items()
    assert schema_faults(dig(media, "schema"), said["answer"]) == []
    assert dig(media, "examples", scene.name, "value") == said["answer"]
    if "body" in said and dig(said, "status") in (200, 202):
        asked = dig(operation, "requestBody", "content", "application/json")
        assert schema_faults(dig(asked, "schema"), said["body"]) == []
        assert dig(asked, "examples", scene.name, "value") == said["body"]


def test_every_operation_has_an_example_that_works() -> None:
    good = {scene.operation for scene in SCENES if played(scene)["status"] in (200, 202)}
    assert good | {"getOpenapi", "getConsole"} == {each.id for each in OPERATIONS.values()}


def test_what_has_another_shape_is_seen() -> None:
    schema = dig(_operation("getTask"), "responses", "200", "content", "application/json", "schema")
    view = played(next(each for each in SCENES if each.name == "succeeded"))["answer"]
    assert isinstance(view, dict)
    assert schema_faults(schema, view) == []
    assert schema_faults(schema, {**view, "more": 1}) != []
    assert schema_faults(schema, {**view, "state": "done"}) != []
    assert schema_faults(schema, {**view, "created_at": "yesterday"}) != []
    del view["history"]
    assert schema_faults(schema, view) != []
