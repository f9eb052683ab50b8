"""Rules of this code that import-linter cannot say: they are read from the source itself."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ftq", "ftq_daemon", "api_lambda", "ftq_cli", "ftq_testing")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LIBRARY = [path for path in MODULES if path.is_relative_to(ROOT / "ftq")]
FAKES = ROOT / "ftq" / "testing"
# Programs in the library's clothes: they wait, and draw keys.
CLIENT = ROOT / "ftq" / "client"
AWS = ROOT / "ftq" / "aws"
PURE = [
    path
    for path in LIBRARY
    if not path.is_relative_to(FAKES)
    and not path.is_relative_to(CLIENT)
    and not path.is_relative_to(AWS)
    and path != CLIENT.with_suffix(".py")
]
LONGEST = 300

Signature = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def named(paths: list[Path]) -> pytest.MarkDecorator:
    """One test for each of these modules, called by its path."""
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    return pytest.mark.parametrize("path", paths, ids=names)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def annotated(node: ast.AST) -> Iterator[ast.expr]:
    """The annotations of a function's signature or of a variable or field."""
    if isinstance(node, Signature):
        given = node.args
        several = [given.vararg, given.kwarg]
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, several)]
        yield from (each.annotation for each in every if each.annotation is not None)
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation


def words(annotation: ast.expr) -> set[str]:
    """The names in an annotation, those within quotes too."""
    found: set[str] = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\w+", node.value))
    return found


def any_in(module: ast.Module) -> list[int]:
    """The lines on which something is said to be Any."""
    every = ((node, each) for node in ast.walk(module) for each in annotated(node))
    return [each.lineno for _, each in every if "Any" in words(each)]


CLOCKS = {"time": None, "random": None, "secrets": None, "uuid": None, "os": {"urandom"}}
MOMENTS = {"now", "utcnow", "today"}


def draws_in(module: ast.Module) -> list[int]:
    """The lines that read a clock or throw dice, or import what does."""
    found: list[int] = []
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                if any(each.name.partition(".")[0] in CLOCKS for each in names):
                    found.append(node.lineno)
            case ast.ImportFrom(module=str(source), names=names):
                if source in CLOCKS:
                    found.append(node.lineno)
            case ast.Call(func=ast.Attribute(value=held, attr=name)) if name in MOMENTS:
                if {"datetime", "date"} & words(held):
                    found.append(node.lineno)
    return found


SILENCER = re.compile(r"#\s*(type:\s*ignore(\[[\w, -]+\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)")


def silent_in(path: Path) -> list[int]:
    """The lines that silence a checker without a code, or without saying why in words."""
    found: list[int] = []
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type != tokenize.COMMENT or not SILENCER.search(token.string):
                continue
            coded = all(match[2] or match[3] for match in SILENCER.finditer(token.string))
            reason = SILENCER.sub("", token.string).strip(" #")
            if not coded or len(reason.split()) < 3:
                found.append(token.start[0])
    return found


def private_in(module: ast.Module, package: str) -> list[str]:
    """The private names that are imported from another package."""
    return [
        f"{node.module}.{each.name}"
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for each in node.names
        if any(re.match(r"_(?!_)", part) for part in (*node.module.split("."), each.name))
        and node.module.split(".")[0] in PACKAGES
        and not f"{node.module}.".startswith(f"{package}.")
    ]


def undocumented_in(module: ast.Module) -> list[str]:
    """The public functions, classes and methods without a docstring, and the module itself."""
    found = [] if ast.get_docstring(module) else ["the module"]

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if not isinstance(node, Definition) or node.name.startswith("_"):
                continue
            overload = {"overload", "override"} & {
                word for each in node.decorator_list for word in words(each)
            }
            if not overload and not ast.get_docstring(node):
                found.append(f"{prefix}{node.name}")
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{prefix}{node.name}.")

    look(module.body, "")
    return found


# All functions from which text leaves a program past the log. Those of the programs redact it, or
# say nothing of anybody's; those of the command talk to its terminal, as rich and click do there.
OUTLETS = {
    "api_lambda/printed.py beneath",
    "api_lambda/printed.py take_over",
    "ftq_cli/__main__.py main",  # closes what nobody reads
    "ftq_cli/api_server.py serve",  # where it listens, to who started it
    "ftq_cli/demo.py effect",  # a line in a file
    "ftq_cli/demo_run.py demo",
    "ftq_cli/relay.py _Writer._write",
    "ftq_cli/speaking.py terminal",
    "ftq_cli/terminal.py prepare",
    "ftq_cli/terminal.py print_json",
    "ftq_cli/up.py up",
    "ftq_daemon/children/program.py Program.run",  # flushes what a handler printed
    "ftq_daemon/healthcheck.py main",  # what Docker shows
    "ftq_daemon/sinks/lines.py Lines._out",
    "ftq_daemon/sinks/log.py configure",
    "ftq_daemon/sinks/printed.py refuse",
    "ftq_daemon/sinks/printed.py take_over",
}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
ON_THE_SPOT = {
    *("basicConfig", "StreamHandler", "FileHandler", "lastResort"),
    *("PrintLogger", "print_exc", "print_exception"),
}


def is_outlet(node: ast.AST) -> bool:
    """Whether this says something past the log, or gets hold of what does."""
    match node:
        case ast.Name("print") | ast.Attribute(ast.Name("os"), "write" | "writev" | "fdopen"):
            return True
        case ast.Attribute(ast.Name("sys"), name) if name in STREAMS:
            return True
        case ast.Call(ast.Name("getattr" | "setattr"), [ast.Name("sys"), *_]):
            return True
        case ast.Attribute(_, name) if name in ON_THE_SPOT:
            return True
        case ast.ImportFrom(names=names):
            said = {each.name for each in names}
            return bool(said & (ON_THE_SPOT | STREAMS | {"fdopen", "writev"}))
    return False


def outlets_in(node: ast.AST, where: str = "") -> Iterator[str]:
    """The functions that say something past the log."""
    for child in ast.iter_child_nodes(node):
        if is_outlet(child):
            yield where
        inner = f"{where}.{child.name}".strip(".") if isinstance(child, Definition) else where
        yield from outlets_in(child, inner)


def test_nothing_is_said_but_through_the_seams_that_redact() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()} {where}"
        for path in MODULES
        for where in outlets_in(tree(path))
    }
    assert found == OUTLETS


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "say = print",
        "sys.stderr.write('a')",
        "out = sys.__stdout__",
        "sys.stdout.buffer.write(b'a')",
        "getattr(sys, 'stdout').write('a')",
        "from sys import stdout",
        "logging.basicConfig()",
        "logging.StreamHandler()",
        "from logging import StreamHandler",
        "traceback.print_exc()",
        "os.write(1, b'a')",
        "os.fdopen(1)",
    ],
)
def test_what_is_said_past_the_log_is_seen(source: str) -> None:
    module = ast.parse(f"class A:\n    def f(self):\n        {source}")
    assert set(outlets_in(module)) == {"A.f"}


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def test_there_is_code_to_look_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} >= {"ftq", "ftq_daemon"}
    assert len(PURE) > 20


@named(MODULES)
def test_a_module_is_short_enough_to_be_read_at_once(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@named(MODULES)
def test_no_signature_or_field_says_any(path: Path) -> None:
    assert any_in(tree(path)) == []


@named(PURE)
def test_the_rules_read_no_clock_and_throw_no_dice(path: Path) -> None:
    assert draws_in(tree(path)) == []


@named(MODULES)
def test_a_silenced_checker_is_named_and_explained(path: Path) -> None:
    assert silent_in(path) == []


@named(MODULES)
def test_no_private_name_is_taken_from_another_package(path: Path) -> None:
    assert private_in(tree(path), package_of(path)) == []


@named(LIBRARY)
def test_everything_public_in_the_library_is_explained(path: Path) -> None:
    assert undocumented_in(tree(path)) == []


# --- that the rules can fail -------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: Any): ...",
        "def f() -> dict[str, Any]: ...",
        "def f(*, x: typing.Any = 1): ...",
        "async def f(*args: Any, **kwargs: int): ...",
        "def f(**kwargs: 'list[Any]'): ...",
        "class A:\n    x: Any = 1",
    ],
)
def test_any_is_seen_wherever_it_is_said(source: str) -> None:
    assert len(any_in(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import random as r",
        "from time import monotonic",
        "from secrets import token_hex",
        "import uuid",
        "datetime.now()",
        "datetime.datetime.now(tz=UTC)",
        "date.today()",
        "datetime.utcnow()",
    ],
)
def test_a_clock_and_dice_are_seen_however_they_come_in(source: str) -> None:
    assert draws_in(ast.parse(source)) == [1]


@pytest.mark.parametrize(
    ("line", "silent"),
    [
        ("x = 1  # type: ignore", True),
        ("x = 1  # type: ignore[misc]", True),
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S101", True),
        ("x = 1  # noqa  # for some good reason", True),
        ("x = 1  # type: ignore[misc]  # why", True),
        ("x = 1  # type: ignore[misc]  # the stub is wrong here", False),
        ("x = 1  # noqa: S101, E501  # no other way to say it", False),
        ("x = '# noqa'", False),
    ],
)
def test_a_silenced_checker_is_seen(tmp_path: Path, line: str, silent: bool) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"{line}\n", encoding="utf-8")
    assert silent_in(module) == ([1] if silent else [])


@pytest.mark.parametrize(
    ("source", "package", "seen"),
    [
        ("from ftq.text import _check", "ftq_daemon", True),
        ("from ftq._private import check", "ftq_daemon", True),
        ("from ftq.text import _check", "ftq.wire", True),
        ("from ftq.text import _check", "ftq", False),
        ("from ftq.text import parse", "ftq_daemon", False),
        ("from ftq import __version__", "ftq_daemon", False),
        ("from asyncio import _thing", "ftq_daemon", False),
    ],
)
def test_a_private_name_of_another_package_is_seen(source: str, package: str, seen: bool) -> None:
    assert bool(private_in(ast.parse(source), package)) is seen


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('"""M."""\ndef f(): ...', ["f"]),
        ('"""M."""\nasync def f(): ...', ["f"]),
        ('"""M."""\nclass A:\n    """A."""\n    def f(self): ...', ["A.f"]),
        ('"""M."""\nclass A:\n    x = 1', ["A"]),
        ('"""M."""\ndef _f(): ...\nclass _A: ...', []),
        ('"""M."""\n@overload\ndef f(): ...', []),
        ("x = 1", ["the module"]),
    ],
)
def test_what_is_not_explained_is_seen(source: str, missing: list[str]) -> None:
    assert undocumented_in(ast.parse(source)) == missing
