"""The site of the docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages.diagrams import PICTURES, wanted

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    told = subprocess.run(
        [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "docs", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return out


def test_every_page_is_in_it_and_can_be_searched(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")]

    assert all((site / f"{page}.html").is_file() for page in pages)
    index = (site / "searchindex.js").read_text()
    assert all(f'"{page}"' in index for page in pages)


def test_it_loads_nothing_from_anybody_else(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(https?://[^\"]+)", page.read_text()
        )
        assert not loaded, page


def test_diagrams_are_shown_as_pictures_of_what_they_say_now(site: Path) -> None:
    assert wanted()
    assert {each.name for each in PICTURES.iterdir()} == set(wanted()), "python -m pages.diagrams"
    assert set(wanted()) <= {each.name for each in (site / "_images").iterdir()}
    assert "highlight-mermaid" not in (site / "explanation/architecture.html").read_text()
