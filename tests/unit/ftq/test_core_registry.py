"""`ftq.registry`: handlers as users declare them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

import pytest
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

from ftq.breaker import BreakerPolicy
from ftq.context import Context
from ftq.errors import RegistryError
from ftq.handler import DEFAULT_TIMEOUT, Function, Handler
from ftq.registry import Registry, load
from ftq.retry import RetryPolicy


class Email(BaseModel):
    to: str


@dataclass
class Point:
    x: int


class Pair(TypedDict):
    left: int


def declared(function: Function) -> Handler:
    registry = Registry()
    registry.handler("a.b")(function)
    handler = registry.get("a.b")
    assert handler is not None
    return handler


def takes_model(payload: Email) -> None: ...
def takes_dataclass(payload: Point) -> None: ...
def takes_typed_dict(payload: Pair) -> None: ...
def takes_dict(payload: dict[str, int]) -> None: ...
def takes_list(payload: list[int]) -> None: ...
def takes_optional(payload: int | None) -> None: ...
def takes_literal(payload: Literal["a", "b"]) -> None: ...
def takes_bounded(payload: Annotated[int, Field(ge=3)]) -> None: ...
def takes_union(payload: Email | list[int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "payload", "value", "wrong"),
    [
        (takes_model, '{"to":"a"}', Email(to="a"), '{"to":1}'),
        (takes_dataclass, '{"x":1}', Point(1), '{"y":1}'),
        (takes_typed_dict, '{"left":1}', {"left": 1}, "{}"),
        (takes_dict, '{"a":1}', {"a": 1}, '{"a":"b"}'),
        (takes_list, "[1,2]", [1, 2], '{"a":1}'),
        (takes_optional, "null", None, '"x"'),
        (takes_literal, '"b"', "b", '"c"'),
        (takes_bounded, "3", 3, "2"),
        (takes_union, "[1]", [1], '"x"'),
    ],
)
def test_a_payload_is_validated_as_the_first_parameter_is_annotated(
    function: Function, payload: str, value: object, wrong: str
) -> None:
    handler = declared(function)
    assert handler.payload.validate_json(payload) == value
    with pytest.raises(ValidationError):
        handler.payload.validate_json(wrong)


async def on_the_loop(payload: Email) -> None: ...
async def with_context(payload: Email, context: Context) -> None: ...
def sync_with_context(payload: Email, context: Context, /) -> None: ...
def with_bare_context(payload: int, context) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # as users write it


@functools.wraps(takes_model)
def wrapped(*args: object, **kwargs: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "run_in", "wants_context"),
    [
        (takes_model, "thread", False),
        (on_the_loop, "loop", False),
        (with_context, "loop", True),
        (sync_with_context, "thread", True),
        (with_bare_context, "thread", True),
        (wrapped, "thread", False),
    ],
)
def test_where_a_function_runs_and_what_it_wants_is_read_from_its_signature(
    function: Function, run_in: str, wants_context: bool
) -> None:
    handler = declared(function)
    assert (handler.run_in, handler.wants_context) == (run_in, wants_context)


class Bound:
    async def method(self, payload: Email, context: Context) -> None: ...


def test_a_bound_method_is_a_handler_too() -> None:
    handler = declared(Bound().method)
    assert (handler.run_in, handler.wants_context) == ("loop", True)


def test_the_decorator_gives_back_the_very_function() -> None:
    assert Registry().handler("a.b")(on_the_loop) is on_the_loop


def test_what_is_not_said_has_the_documented_defaults() -> None:
    handler = declared(takes_model)
    assert handler.type == handler.breaker == "a.b"
    assert (handler.retry, handler.timeout) == (RetryPolicy(3, 1, 300), DEFAULT_TIMEOUT)
    assert handler.permanent == ()


def test_what_is_said_is_kept() -> None:
    registry, policy = Registry(), RetryPolicy(attempts=7)
    registry.handler(
        "x", retry=policy, timeout=2.5, breaker="smtp", permanent=(KeyError,), run_in="thread"
    )(takes_model)
    [handler] = registry
    assert (handler.retry, handler.timeout, handler.breaker) == (policy, 2.5, "smtp")
    assert (handler.permanent, handler.run_in) == ((KeyError,), "thread")
    assert handler.function is takes_model


def test_a_registry_knows_its_handlers_in_order() -> None:
    registry = Registry()
    for name in ("b", "a", "c"):
        registry.handler(name)(takes_model)
    assert [handler.type for handler in registry] == ["b", "a", "c"]
    assert len(registry) == 3
    assert registry.get("d") is None


def test_two_registries_share_nothing() -> None:
    one, other = Registry(), Registry()
    one.handler("a")(takes_model)
    assert len(other) == 0


def none() -> None: ...
def unannotated(payload) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # as users write it
def three(payload: int, context: Context, extra: int) -> None: ...
def keyword(*, payload: int) -> None: ...
def star(*payload: int) -> None: ...
def optional_context(payload: int, *, context: Context) -> None: ...
def other_second(payload: int, other: int) -> None: ...
def only_context(context: Context) -> None: ...
def generator(payload: int) -> Iterator[int]:
    yield payload


async def async_generator(payload: int) -> AsyncIterator[int]:
    yield payload


def unknown(payload: int) -> None: ...
def broken(payload: int) -> None: ...
def missing(payload: int) -> None: ...
def no_schema(payload: Registry) -> None: ...


# Wrong annotations that no type checker would let through, put there by hand.
unknown.__annotations__["payload"] = "Nowhere"
broken.__annotations__["payload"] = "a b"
missing.__annotations__["payload"] = "functools.Nope"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (none, "must take"),
        (three, "must take"),
        (keyword, "must take"),
        (star, "must take"),
        (optional_context, "must take"),
        (unannotated, "annotate 'payload'"),
        (other_second, r"second parameter is the ftq\.Context"),
        (only_context, "first parameter is the payload"),
        (generator, "yield"),
        (async_generator, "yield"),
        (unknown, "cannot be read.*Nowhere"),
        (broken, "cannot be read"),
        (missing, "cannot be read.*Nope"),
        (no_schema, "schema"),
        (functools.partial(takes_model), "cannot be read"),
        (len, "cannot be read|annotate"),
    ],
)
def test_a_function_that_cannot_be_a_handler_is_refused_with_the_reason(
    function: Function, says: str
) -> None:
    registry = Registry()
    with pytest.raises(RegistryError, match=says) as caught:
        registry.handler("a.b")(function)
    assert str(caught.value).startswith("a.b: ")
    assert len(registry) == 0


@pytest.mark.parametrize("name", ["", "1a", "a b", "a\n", "é", "a" * 101, "#a"])
def test_a_type_that_no_task_could_have_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="must match"):
        Registry().handler(name)


def test_a_decorator_without_its_parentheses_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"on_the_loop.*must match"):
        Registry().handler(cast(str, on_the_loop))


@pytest.mark.parametrize("timeout", [0, -1, 39_601, float("nan"), float("inf")])
def test_a_timeout_out_of_bounds_is_refused(timeout: float) -> None:
    with pytest.raises(RegistryError, match=r"a\.b: timeout=.* at most 39600 s"):
        Registry().handler("a.b", timeout=timeout)(takes_model)


@pytest.mark.parametrize(
    "permanent", [ValueError, (KeyboardInterrupt,), ("ValueError",), [KeyError]]
)
def test_permanent_errors_must_be_a_tuple_of_exceptions(permanent: object) -> None:
    with pytest.raises(RegistryError, match=r"a\.b: permanent="):
        Registry().handler("a.b", permanent=cast(tuple[type[Exception]], permanent))(takes_model)


@pytest.mark.parametrize(
    ("function", "run_in", "why"),
    [
        (on_the_loop, "thread", "an async function runs in 'loop'"),
        (on_the_loop, "process", "an async function runs in 'loop'"),
        (takes_model, "loop", "a sync function runs in 'thread' or 'process'"),
        (takes_model, "moon", "a sync function runs in 'thread' or 'process'"),
    ],
)
def test_a_function_runs_only_where_it_can(function: Function, run_in: str, why: str) -> None:
    with pytest.raises(RegistryError, match=f"run_in='{run_in}': {why}"):
        Registry().handler("a.b", run_in=cast(Literal["loop"], run_in))(function)


def test_a_type_has_one_handler() -> None:
    registry = Registry()
    registry.handler("a.b")(takes_model)
    with pytest.raises(RegistryError, match=r"'a\.b' has a handler already"):
        registry.handler("a.b")(takes_list)
    handler = registry.get("a.b")
    assert handler is not None
    assert handler.function is takes_model


# --- breakers ----------------------------------------------------------------------------------

EAGER = BreakerPolicy(in_a_row=2, tasks=1)


@pytest.mark.parametrize("first", [True, False])
def test_a_breaker_may_be_declared_before_or_after_the_handlers_that_name_it(first: bool) -> None:
    registry = Registry()
    if first:
        registry.breaker("smtp", EAGER)
    registry.handler("mail", breaker="smtp")(takes_model)
    registry.handler("news", breaker="smtp")(takes_dict)
    registry.handler("other")(takes_list)
    if not first:
        registry.breaker("smtp", EAGER)
    policies = {handler.type: handler.breaker_policy for handler in registry}
    assert policies == {"mail": EAGER, "news": EAGER, "other": BreakerPolicy()}


def test_a_handlers_own_breaker_is_declared_by_its_type() -> None:
    registry = Registry()
    registry.handler("mail")(takes_model)
    registry.breaker("mail", EAGER)
    assert [handler.breaker_policy for handler in registry] == [EAGER]


def test_a_breaker_is_declared_twice_only_in_the_same_words() -> None:
    registry = Registry()
    registry.breaker("smtp", EAGER)
    registry.breaker("smtp", BreakerPolicy(in_a_row=2, tasks=1))
    with pytest.raises(RegistryError, match=r"'smtp' has a policy already.*=2.*in_a_row=9"):
        registry.breaker("smtp", BreakerPolicy(in_a_row=9))


@pytest.mark.parametrize(
    ("name", "policy", "says"),
    [
        ("", EAGER, "must be a text"),
        (7, EAGER, "must be a text"),
        ("smtp", {"in_a_row": 2}, "must be an ftq.BreakerPolicy"),
    ],
)
def test_a_breaker_that_is_none_is_refused(name: str, policy: BreakerPolicy, says: str) -> None:
    with pytest.raises(RegistryError, match=says):
        Registry().breaker(name, policy)


@pytest.mark.parametrize("breaker", [EAGER, True, 7])
def test_a_handler_names_its_breaker_and_no_more(breaker: str) -> None:
    with pytest.raises(RegistryError, match=r"mail: breaker=.*registry\.breaker"):
        Registry().handler("mail", breaker=breaker)(takes_model)


# --- load --------------------------------------------------------------------------------------

MODULES = {
    "good": "from ftq import Registry\nregistry = Registry()\nother = 7\nclass_ = Registry\n",
    "broken": "1 / 0\n",
    "typo": "def f(:\n",
    "needs": "import a_module_that_is_nowhere\n",
    "incomplete": (
        "from pydantic import BaseModel\nfrom ftq import Registry\nregistry = Registry()\n"
        "class Order(BaseModel):\n    item: 'Nowhere'\n"
        "@registry.handler('a.b')\ndef f(order: Order): ...\n"
    ),
    "script": (
        "from ftq import Registry\nregistry = Registry()\n__name__ = '__main__'\n"
        "@registry.handler('a.b', run_in='process')\ndef f(n: int): ...\n"
    ),
    "idle": (
        "from ftq import BreakerPolicy, Registry\nregistry = Registry()\n"
        "registry.breaker('smpt', BreakerPolicy())\n"
        "@registry.handler('a.b', breaker='smtp')\ndef f(n: int): ...\n"
    ),
    "declares": (
        "from ftq import Registry\nregistry = Registry()\n@registry.handler('a.b')\ndef f(): ...\n"
    ),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of modules as users write them, importable for the length of a test."""
    name = f"handlers_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    for module, source in MODULES.items():
        (tmp_path / name / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_registry_is_loaded_by_its_path(package: str) -> None:
    registry = load(f"{package}.good:registry")
    assert isinstance(registry, Registry)
    assert load(f"{package}.good:registry") is registry


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("good:nothing", "has no 'nothing'"),
        ("good:other", "is a int, not an ftq.Registry"),
        ("good:class_", "is a type, not an ftq.Registry"),
        ("good", "has no ''"),
        ("missing:registry", "there is no module"),
        ("broken:registry", "cannot be imported: ZeroDivisionError"),
        ("typo:registry", "cannot be imported: SyntaxError"),
        ("needs:registry", "needs 'a_module_that_is_nowhere', not found"),
        ("incomplete:registry", r"a\.b: its payload names a type not defined"),
        ("idle:registry", "breaker 'smpt' has a policy, but no handler names it"),
        ("declares:registry", r"a\.b: must take"),
        ("script:registry", r"a\.b: run_in='process': a function of the main program"),
    ],
)
def test_a_registry_that_cannot_be_loaded_says_why(package: str, path: str, says: str) -> None:
    with pytest.raises(RegistryError, match=says):
        load(f"{package}.{path}")


@pytest.mark.parametrize("path", ["", ":registry", "no_such_package_at_all:registry", "..x:y"])
def test_a_path_that_leads_nowhere_is_refused_with_the_one_error(path: str) -> None:
    with pytest.raises(RegistryError):
        load(path)


def test_a_handler_names_a_queue_as_settings_do() -> None:
    registry = Registry()

    @registry.handler("thumbnail", queue="bulk")
    def thumbnail(_: dict[str, int]) -> None: ...

    handler = registry.get("thumbnail")
    assert handler is not None
    assert handler.queue == "bulk"
    with pytest.raises(RegistryError, match="queue='Bulk'"):
        registry.handler("other", queue="Bulk")(thumbnail)
