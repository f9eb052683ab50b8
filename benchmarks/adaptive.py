"""Draws how the adaptive limit follows a knee that moves: `python -m benchmarks.adaptive`.

Virtual time and seeded dice: the same picture on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from matplotlib.figure import Figure

from benchmarks.dependency import End, Kind, drive, exponential
from benchmarks.plots import DARK, LIGHT, Theme, framed, saved
from ftq.concurrency import Bounds, Concurrency

DOCS: Final = Path(__file__).parents[1] / "docs" / "explanation"
SECONDS: Final = 180
SERVICE: Final = 0.05
CEILING: Final = 64


def knee(now: float) -> int:
    """How many servers the dependency has."""
    return 20 if now < 60 else 8 if now < 120 else 40


@dataclass(frozen=True, slots=True)
class Side:
    """One way to choose the limit, by second."""

    limit: Sequence[float]
    rate: Sequence[float]
    latency: Sequence[float]


def side(rule: Concurrency) -> Side:
    """Run the scenario under a rule."""
    by_second: list[list[End]] = [[] for _ in range(SECONDS)]
    for end in drive(rule, [Kind("a", 1, exponential(SERVICE))], knee, seconds=SECONDS, seed=1):
        by_second[min(int(end.at), SECONDS - 1)].append(end)
    return Side(
        [mean(end.limit for end in ends) for ends in by_second],
        [float(len(ends)) for ends in by_second],
        [1000 * mean(end.seconds for end in ends) for ends in by_second],
    )


def draw(theme: Theme, adaptive: Side, fixed: Side) -> Path:
    """One picture for one kind of page."""
    figure = Figure(figsize=(8, 7), facecolor=theme.page, layout="constrained")
    knees = [knee(second) for second in range(SECONDS)]
    panels = (
        ("limit", adaptive.limit, fixed.limit, knees, "the knee"),
        ("tasks/s", adaptive.rate, fixed.rate, [k / SERVICE for k in knees], "the most there is"),
        ("mean ms", adaptive.latency, fixed.latency, [1000 * SERVICE] * SECONDS, "unloaded"),
    )
    for axes, (name, ours, theirs, best, word) in zip(figure.subplots(3, 1), panels, strict=True):
        axes.plot(best, color=theme.kinds["limit"], linestyle="--", label=word)
        axes.plot(theirs, color=theme.kinds["loop"], label=f"fixed at {CEILING}", linewidth=1)
        axes.plot(ours, color=theme.kinds["ftq"], label="adaptive")
        axes.set_ylabel(name, color=theme.ink)
        framed(axes, theme)
        axes.grid(color=theme.faint, linewidth=0.5)
        axes.legend(loc="upper left", labelcolor=theme.ink, frameon=False, ncols=3, fontsize=8)
    axes.set_xlabel("seconds", color=theme.ink)
    return saved(figure, DOCS / "adaptive.svg", theme)


def main() -> None:
    """Draw both pictures."""
    bounds = Bounds(1, CEILING)
    adaptive = side(Concurrency(bounds))
    fixed = side(Concurrency(Bounds(CEILING, CEILING)))
    for theme in (LIGHT, DARK):
        print(draw(theme, adaptive, fixed))
    for start in (0, 60, 120):
        late = slice(start + 30, start + 60)
        for name, each in (("adaptive", adaptive), ("fixed", fixed)):
            said = f"limit {mean(each.limit[late]):.0f}, {mean(each.rate[late]):.0f}/s"
            print(f"knee {knee(start)}, {name}: {said}, {mean(each.latency[late]):.0f} ms")


if __name__ == "__main__":
    main()
