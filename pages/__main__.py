"""``python -m pages``: write them all anew."""

from __future__ import annotations

from pages import architecture, commands, configuration, cost, metrics, python, routes

PAGES = (architecture, commands, configuration, cost, metrics, python, routes)

if __name__ == "__main__":
    for each in PAGES:
        each.PAGE.write_text(each.page())
