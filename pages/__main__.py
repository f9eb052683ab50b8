"""``python -m pages``: write them all anew."""

from __future__ import annotations

from pages import architecture, configuration, cost, metrics

PAGES = (architecture, configuration, cost, metrics)

if __name__ == "__main__":
    for each in PAGES:
        each.PAGE.write_text(each.page())
