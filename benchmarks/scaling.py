"""Draws how the fleet follows the queue: `python -m benchmarks.scaling`.

Virtual time and seeded dice: the same picture on every machine. What is modelled: `fleet`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from benchmarks.fleet import Fleet, Load, Minute, Policy, turns
from benchmarks.plots import DARK, LIGHT, Theme, framed, saved

DOCS: Final = Path(__file__).parents[1] / "docs" / "how-to"
MINUTES: Final = 360
HANDLER_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """A load, and the policy that has to follow it."""

    load: Load
    policy: Policy = field(default_factory=Policy)


def steady(_: int) -> float:
    """Thirty a second: four daemons' work, more or less."""
    return 30.0


def day(second: int) -> float:
    """A day of office hours in six hours: from 2 a second to 60 and back."""
    return 31 - 29 * math.cos(2 * math.pi * second / (MINUTES * 60))


def step(second: int) -> float:
    """A campaign: from 5 a second to 60 at once, for two hours."""
    return 60.0 if 7200 <= second < 14400 else 5.0


def batch(second: int) -> float:
    """A batch at the full hour: 12,000 tasks within a minute, nothing between."""
    return 200.0 if second % 3600 < 60 else 0.0


def rare(second: int) -> float:
    """A task now and then."""
    return 0.002


SHAPES: Final[Mapping[str, Shape]] = {
    "steady": Shape(steady),
    "a day": Shape(day),
    "a campaign": Shape(step),
    "a batch each hour, from zero": Shape(batch, Policy(least=0)),
    "now and then, from zero": Shape(rare, Policy(least=0)),
}


def follow(shape: Shape) -> Sequence[Minute]:
    """Let the fleet follow one shape."""
    return Fleet(shape.policy, HANDLER_SECONDS).run(shape.load, MINUTES)


def draw(theme: Theme, followed: Mapping[str, Sequence[Minute]]) -> Path:
    """One picture for one kind of page."""
    figure = Figure(figsize=(9, 2.1 * len(followed)), facecolor=theme.page, layout="constrained")
    rows = figure.subplots(len(followed), 2)
    for (name, minutes), (left, right) in zip(followed.items(), rows, strict=True):
        left.plot([each.arrived / 60 for each in minutes], color=theme.kinds["limit"], linewidth=1)
        left.set_ylabel("tasks/s", color=theme.kinds["limit"])
        fleet = left.twinx()
        fleet.step(
            range(len(minutes)), [each.running for each in minutes], color=theme.kinds["ftq"]
        )
        fleet.set_ylabel("daemons", color=theme.kinds["ftq"])
        right.plot([each.longest for each in minutes], color=theme.kinds["ftq"], linewidth=1)
        right.axhline(SHAPES[name].policy.acceptable, color=theme.kinds["loop"], linestyle="--")
        right.set_ylabel("longest wait, s", color=theme.ink)
        left.set_title(name, color=theme.ink, fontsize=9, loc="left")
        for axes in (left, fleet, right):
            framed(axes, theme)
    for axes in rows[-1]:
        axes.set_xlabel("minutes", color=theme.ink)
    return saved(figure, DOCS / "scaling.svg", theme)


def main() -> None:
    """Draw both pictures, and say what the policy comes to."""
    followed = {name: follow(shape) for name, shape in SHAPES.items()}
    for theme in (LIGHT, DARK):
        print(draw(theme, followed))
    for name, shape in SHAPES.items():
        blind = follow(replace(shape, policy=replace(shape.policy, counts_busy=False)))
        for side, minutes in (("", followed[name]), (", backlog alone", blind)):
            tasks = sum(each.arrived for each in minutes)
            late = sum(each.late for each in minutes)
            hours = sum(each.running for each in minutes) / 60
            print(
                f"{name}{side}: {late / max(tasks, 1):.1%} late, longest wait "
                f"{max(each.longest for each in minutes)} s, {turns(minutes)} turns, "
                f"{hours:.0f} daemon hours"
            )


if __name__ == "__main__":
    main()
