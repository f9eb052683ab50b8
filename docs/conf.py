"""How the site is made of these pages: `make docs`."""

from __future__ import annotations

from importlib.metadata import version as version_of

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
# GitHub draws them; here they are read.
# Links to what lies beside the docs lead nowhere on the site; a test holds all links to the tree.
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]
