"""The commands of docs/how-to/deploy.md, read from the page itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "how-to" / "deploy.md"
# A block without a language holds commands; a comment before it says that only AWS can answer them.
BLOCK: Final = re.compile(
    r"(?:<!-- only AWS: (?P<why>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of the page that are typed into a shell.

    Attributes:
        section: The heading that they stand under.
        text: The lines.
        only_aws: Why no stand-in can answer them; '' if one does.
    """

    section: str
    text: str
    only_aws: str


def blocks() -> list[Block]:
    """All commands, in their order."""
    found = []
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        section = part.partition("\n")[0]
        found += [
            Block(section, each["text"], each["why"] or "")
            for each in BLOCK.finditer(part)
            if not each["language"]
        ]
    return found


def commands(section: str) -> str:
    """What is typed under one heading, but what only AWS can answer."""
    (text,) = [each.text for each in blocks() if each.section == section and not each.only_aws]
    return text
