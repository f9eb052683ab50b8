"""The docs name tests that exist, link to pages that exist, and show code that runs."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from ftq import Registry
from ftq.events import EVENTS
from pages.__main__ import PAGES as WRITTEN
from pages.configuration import undescribed


class Written(Protocol):
    """A page that code writes."""

    PAGE: Path

    def page(self) -> str: ...


ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for path, test in re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", page.read_text()):
        assert (ROOT / path).is_file(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(), test


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_decisions_are_numbered_once_each_and_all_listed_in_order() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    titles = [page.read_text().splitlines()[0] for page in pages]
    numbers = [title.removeprefix("# ").partition(":")[0] for title in titles]
    assert numbers == [f"{number:04}" for number in range(1, len(pages) + 1)]
    index = (ROOT / "docs/adr/README.md").read_text()
    listed = re.findall(r"^\| \[(\d+)\]\((.+?)\)", index, re.MULTILINE)
    assert listed == [(page.name[:4], page.name) for page in pages]


def test_the_handler_in_the_readme_registers() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    scope: dict[str, object] = {"__name__": "readme"}
    exec(code, scope)  # noqa: S102  # the README's own code
    registry = scope["registry"]
    assert isinstance(registry, Registry)
    handler = registry.get("email.send")
    assert handler is not None
    assert (handler.retry.attempts, handler.timeout, handler.wants_context) == (5, 30, True)


def test_the_handlers_in_the_reference_register() -> None:
    page = (ROOT / "docs/reference/handlers.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope: dict[str, object] = {"__name__": "reference"}
    exec(code, scope)  # noqa: S102  # the reference's own code
    registry = scope["registry"]
    assert isinstance(registry, Registry)
    assert [handler.type for handler in registry] == ["email.send", "report.nightly"]
    assert [schedule.type for schedule in registry.schedules] == ["report.nightly"]


@pytest.mark.parametrize("written", WRITTEN, ids=lambda each: each.PAGE.stem)
def test_what_is_written_by_code_is_as_the_code_has_it(written: Written) -> None:
    assert written.PAGE.read_text() == written.page(), "python -m pages"


def test_each_setting_is_described() -> None:
    assert not undescribed()


def test_all_events_that_can_be_listened_to_are_on_the_page_about_that() -> None:
    table = (ROOT / "docs/how-to/middleware.md").read_text().partition("\n| event |")[2]
    named = re.findall(r"`([A-Z]\w+)`", "".join(re.findall(r"^\|[^|]+\|", table, re.MULTILINE)))
    assert sorted(named) == sorted(each.__name__ for each in EVENTS)


@pytest.mark.parametrize(("page", "count"), [("test", 4), ("middleware", 3)])
def test_the_tests_on_a_page_pass(page: str, count: int) -> None:
    text = (ROOT / f"docs/how-to/{page}.md").read_text()
    module = ModuleType(f"how_to_{page}")
    # The first block makes what the others use; annotations are looked up in the module.
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(code, vars(module))  # noqa: S102  # the page's own code
    tests = [each for name, each in vars(module).items() if name.startswith("test_")]
    assert len(tests) == count
    for test in tests:
        test()
