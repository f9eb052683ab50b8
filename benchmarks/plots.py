"""Pictures of results: bars with their figures, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.side import Kind


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a page."""

    name: str
    page: str
    ink: str
    faint: str
    kinds: Mapping[Kind, str]


# Okabe and Ito's colours, which the colour-blind tell apart; lighter ones on the dark page.
LIGHT: Final = Theme(
    "light",
    "#ffffff",
    "#1f2328",
    "#d0d7de",
    {
        "ftq": "#0072b2",
        "limit": "#8c959f",
        "loop": "#d55e00",
        "python peer": "#cc79a7",
        "other peer": "#009e73",
    },
)
DARK: Final = Theme(
    "dark",
    "#0d1117",
    "#e6edf3",
    "#30363d",
    {
        "ftq": "#56b4e9",
        "limit": "#8b949e",
        "loop": "#f0883e",
        "python peer": "#e29ec6",
        "other peer": "#3fb98f",
    },
)
WORDS: Final[Mapping[Kind, str]] = {
    "ftq": "ftq",
    "limit": "limit: the AWS calls alone",
    "loop": "hand-written loop",
    "python peer": "peers in Python",
    "other peer": "peers in Rust or Node",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: What it stands for.
        value: Its length.
        least: The least that was measured.
        most: The most that was measured.
        kind: Which colour it has.
    """

    label: str
    value: float
    least: float
    most: float
    kind: Kind = "ftq"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points in order."""

    label: str
    points: Sequence[tuple[float, float]]


def bars(path: Path, title: str, unit: str, found: Sequence[Bar]) -> list[Path]:
    """Draw horizontal bars, once for each page; returns where."""
    return [saved(_bars(theme, title, unit, found), path, theme) for theme in (LIGHT, DARK)]


def lines(path: Path, title: str, axes: tuple[str, str], found: Sequence[Line]) -> list[Path]:
    """Draw lines from zero up, once for each page; returns where."""
    return [saved(_lines(theme, title, axes, found), path, theme) for theme in (LIGHT, DARK)]


def _blank(theme: Theme, title: str, height: float) -> Figure:
    figure = Figure(figsize=(8, height), layout="constrained", facecolor=theme.page)
    axes = figure.subplots()
    axes.set_facecolor(theme.page)
    axes.set_title(title, color=theme.ink, loc="left", fontsize=12)
    axes.tick_params(colors=theme.ink, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure


def _bars(theme: Theme, title: str, unit: str, found: Sequence[Bar]) -> Figure:
    figure = _blank(theme, title, 1.3 + 0.36 * len(found))
    axes = figure.axes[0]
    known: set[Kind] = set()
    for place, bar in enumerate(found):
        label = "" if bar.kind in known else WORDS[bar.kind]
        known.add(bar.kind)
        axes.barh(place, bar.value, color=theme.kinds[bar.kind], height=0.7, label=label)
        axes.plot([bar.least, bar.most], [place, place], color=theme.ink, linewidth=1)
        text = f"{bar.value:,.0f}" if bar.value >= 10 else f"{bar.value:,.2f}"
        axes.annotate(
            text,
            (max(bar.most, bar.value), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=theme.ink,
        )
    axes.set_yticks(range(len(found)), [bar.label for bar in found])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(unit, color=theme.ink)
    axes.grid(axis="x", color=theme.faint)
    axes.set_axisbelow(True)
    if len(known) > 1:
        axes.legend(frameon=False, labelcolor=theme.ink, loc="best")
    return figure


def _lines(theme: Theme, title: str, names: tuple[str, str], found: Sequence[Line]) -> Figure:
    figure = _blank(theme, title, 3.6)
    axes = figure.axes[0]
    for colour, line in zip(theme.kinds.values(), found, strict=False):
        xs, ys = zip(*line.points, strict=True)
        axes.plot(xs, ys, color=colour, linewidth=2, label=line.label)
    axes.set_xlabel(names[0], color=theme.ink)
    axes.set_ylabel(names[1], color=theme.ink)
    axes.set_ylim(bottom=0)
    axes.grid(color=theme.faint)
    if len(found) > 1:
        axes.legend(frameon=False, labelcolor=theme.ink)
    return figure


def framed(axes: Axes, theme: Theme) -> None:
    """Give axes the colours of their page, and begin them at zero."""
    axes.set_facecolor(theme.page)
    axes.set_ylim(bottom=0)
    axes.tick_params(colors=theme.ink)
    for spine in axes.spines.values():
        spine.set_color(theme.faint)


def saved(figure: Figure, path: Path, theme: Theme) -> Path:
    """Write the picture for one kind of page beside the others of its name; returns where."""
    place = path.with_name(f"{path.stem}-{theme.name}.svg")
    # Without a date, and with identifiers that depend on the picture only: same figures, same file.
    with mpl.rc_context({"svg.hashsalt": "ftq", "svg.fonttype": "none"}):
        figure.savefig(place, format="svg", metadata={"Date": None})
    return place
