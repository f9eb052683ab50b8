"""The description taken at its word: schemathesis makes requests of it, valid and not, and chains.

They travel as Lambda's events, and the account behind the API is in memory: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast
from wsgiref.types import StartResponse, WSGIEnvironment

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Response
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from ftq.errors import Throttled
from ftq.ports import Call
from ftq_cli.gateway import HttpRequest, event_of, response_of
from tests.unit.api.door import Door

if TYPE_CHECKING:
    from schemathesis.specs.openapi.schemas import OpenApiCase

# Limits that no schema can say: dates of the calendar within a year, how long a window is, texts
# that only the API makes, queues that this one does not have.
BEYOND_A_SCHEMA: Final = {"not_before", "before", "window", "cursor", "queue"}


class App:
    """An API as a WSGI application, for schemathesis to call.

    Attributes:
        door: The API that answers now.
    """

    def __init__(self) -> None:
        self.door = Door()

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        ]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target, query = environ["REQUEST_URI"], environ["QUERY_STRING"]
        came = HttpRequest(
            environ["REQUEST_METHOD"], f"{target}?{query}" if query else target, headers, body
        )
        said = response_of(self.door.api.handle(event_of(came, "r", self.door.clock.seconds())))
        start(f"{said.status} ", list(said.headers))
        return [said.body]


APP: Final = App()
CONFIG: Final = SchemathesisConfig.from_dict({"seed": 7})
DESCRIPTION: Final = schemathesis.openapi.from_wsgi("/openapi.json", APP, config=CONFIG)
BOUNDED: Final = settings(
    max_examples=40,
    stateful_step_count=10,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _holds(case: OpenApiCase, response: Response) -> None:
    excluded: list[CheckFunction] = []
    if response.status_code == 422:
        faults = cast(list[dict[str, str]], response.json().get("errors", []))
        if {fault["field"] for fault in faults} <= BEYOND_A_SCHEMA:
            excluded.append(positive_data_acceptance)
    if case.operation.path == "/tasks/batch" and response.status_code == 200:
        # Each task is judged by itself: what is wrong with one stands in its result.
        excluded.append(negative_data_rejection)
    case.validate_response(response, excluded_checks=excluded)


@DESCRIPTION.parametrize()
@BOUNDED
def test_every_request_is_answered_as_described(case: OpenApiCase) -> None:
    APP.door = Door()
    _holds(case, case.call())


@DESCRIPTION.parametrize()
@settings(BOUNDED, max_examples=10, phases=[Phase.generate])
def test_no_outage_is_answered_otherwise_than_described(case: OpenApiCase) -> None:
    def refuse(call: Call) -> None:
        raise Throttled(call.operation, "Throttled", "slow down")

    APP.door = Door()
    APP.door.port.before = refuse
    response = case.call()
    case.validate_response(
        response,
        excluded_checks=[not_a_server_error, negative_data_rejection, positive_data_acceptance],
    )
    assert response.status_code != 500


class Chains(DESCRIPTION.as_state_machine()):  # type: ignore[misc]  # made at run time
    """Requests that follow the links of the answers before."""

    def setup(self) -> None:
        APP.door = Door()

    def validate_response(self, response: Response, case: OpenApiCase, **kwargs: object) -> None:
        _holds(case, response)


TestChains = Chains.TestCase
TestChains.settings = BOUNDED
