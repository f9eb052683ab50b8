"""How the site is made of these pages: `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

sys.path.insert(0, str(Path(__file__).parents[1]))

from pages.diagrams import PICTURES, name_of

project = "ftq"
author = "the ftq authors"
release = version = version_of("ftq")
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "ftq"
# Nothing of a third party's is loaded by who reads.
html_theme_options = {"top_of_page_buttons": []}
html_static_path: list[str] = []
html_show_sourcelink = False
# As GitHub makes them, so that links into a page work in both places.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# Links to what lies beside the docs lead nowhere on the site; a test holds all links to the tree.
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]


class Drawn(SphinxTransform):
    """Shows the pictures of diagrams, which are text that GitHub draws by itself."""

    default_priority: ClassVar[int] = 1

    def apply(self) -> None:
        """Put each picture in the place of its text; warns, which ends the build, of a new text."""
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language") == "mermaid":
                picture = f"/explanation/{PICTURES.name}/{name_of(block.astext())}"
                block.replace_self(nodes.image(uri=picture, alt=block.astext()))


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.add_transform(Drawn)
