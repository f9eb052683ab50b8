"""docs/explanation/architecture.md: its diagrams are drawn from the tables in code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ftq.lifecycle import FINAL, TRANSITIONS, State
from pages.part import with_part

PAGE: Final = Path(__file__).parents[1] / "docs" / "explanation" / "architecture.md"


def page() -> str:
    """The page as it should be: as it is, with its diagram drawn anew."""
    return with_part(PAGE, "ftq/lifecycle.py", f"```mermaid\n{states()}\n```\n")


def states() -> str:
    """All states and the moves between them."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, move), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(move.replace("_", " "))
    lines = [f"    [*] --> {each}: submit" for each in (State.QUEUED, State.SCHEDULED)]
    lines += [f"    {a} --> {b}: {', '.join(moves)}" for (a, b), moves in arrows.items()]
    lines += [f"    {each} --> [*]: expires" for each in sorted(FINAL)]
    return "\n".join(["stateDiagram-v2", *lines])
