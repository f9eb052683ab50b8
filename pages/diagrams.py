"""The diagrams of the site: ``python -m pages.diagrams`` draws those that are new.

GitHub draws a page's mermaid by itself; the site shows what is kept here. Each picture is named by
the text that it is drawn from, so an old one is never shown: the site is not built without it.
It needs npm, for mermaid itself, and Chromium.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

DOCS: Final = Path(__file__).parents[1] / "docs"
PICTURES: Final = DOCS / "explanation" / "diagrams"
MERMAID: Final = "mermaid@11.4.1"
_BLOCK: Final = re.compile(r"^```mermaid\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
# Labels as SVG's own text: browsers draw no HTML in a picture.
_DRAW: Final = """async (text) => {
    mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false,
                        flowchart: {htmlLabels: false}, deterministicIds: true});
    const {svg} = await mermaid.render("drawn", text);
    return svg.replace('style="', 'style="background: white; ');
}"""


def name_of(text: str) -> str:
    """The file of the picture of a diagram."""
    return f"{hashlib.sha256(text.strip().encode()).hexdigest()[:12]}.svg"


def wanted() -> dict[str, str]:
    """The diagrams of all pages: file names and texts."""
    pages = [each.read_text() for each in DOCS.rglob("*.md")]
    return {name_of(text): text for page in pages for text in _BLOCK.findall(page)}


def _draw(texts: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        subprocess.run(["npm", "install", "--silent", "--prefix", place, MERMAID], check=True)  # noqa: S603, S607  # whichever npm there is
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page: Page = chromium.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(path=Path(place) / "node_modules/mermaid/dist/mermaid.min.js")
        for name, text in texts.items():
            (PICTURES / name).write_text(f"{page.evaluate(_DRAW, text)}\n")
        chromium.close()


def main() -> None:
    """Draw what is new, and take away what nothing shows any more."""
    PICTURES.mkdir(exist_ok=True)
    texts = wanted()
    kept = {each.name for each in PICTURES.glob("*.svg")}
    for name in kept - set(texts):
        (PICTURES / name).unlink()
    if new := {name: text for name, text in texts.items() if name not in kept}:
        _draw(new)


if __name__ == "__main__":
    main()
