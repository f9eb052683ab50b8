"""The part of a page that code writes: between a comment that names its source and an end."""

from __future__ import annotations

import re
from pathlib import Path


def with_part(page: Path, source: str, text: str) -> str:
    """The page as it is, with the part drawn from `source` written anew."""
    part = re.compile(rf"(?<=<!-- {re.escape(source)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return part.sub(lambda _: text, page.read_text())
