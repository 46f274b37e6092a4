"""Plots as PNG files, where people would rather look than read.

Belongs here: how plots look and that they are written whole. Does not belong here: which numbers they show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.files import whole_file

INK, GRID = "#1f4e79", "#d9dee3"
LABEL_WIDTH = 14  # characters under a bar


def _draw(path: Path, title: str, x: str, y: str, paint: Callable[[Any], None]) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    paint(axes)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as scratch:
        figure.savefig(scratch, format="png")
    return str(path)


def histogram(values: Sequence[float], path: Path, *, title: str, x: str, bins: int = 11) -> str:
    """A histogram of shares in [0, 1], a bar a tenth; returns the path."""

    def paint(axes: Any) -> None:
        axes.hist(values, bins=[(k - 0.5) / (bins - 1) for k in range(bins + 1)], color=INK, rwidth=0.9)

    return _draw(path, title, x, "problems", paint)


def curves(series: Mapping[str, Sequence[float]], path: Path, *, title: str, x: str, y: str) -> str:
    """One line a name over the positions 1, 2, ...; returns the path."""

    def paint(axes: Any) -> None:
        for name, values in series.items():
            axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1.6)
        axes.legend(frameon=False)

    return _draw(path, title, x, y, paint)


Point = tuple[float, float, float]  # value, lower end, upper end


def bands(series: Mapping[str, Sequence[Point]], path: Path, *, title: str, x: str, y: str) -> str:
    """One line a name over the positions 1, 2, ..., in a band from the lower to the upper end; returns the path."""

    def paint(axes: Any) -> None:
        for name, points in series.items():
            at = range(1, len(points) + 1)
            (line,) = axes.plot(at, [value for value, _, _ in points], label=name, linewidth=1.6)
            axes.fill_between(
                at, [low for _, low, _ in points], [high for _, _, high in points], color=line.get_color(), alpha=0.15
            )
        axes.legend(frameon=False)

    return _draw(path, title, x, y, paint)


def frontier(series: Mapping[str, Sequence[tuple[Point, Point]]], path: Path, *, title: str, x: str, y: str) -> str:
    """One line a name through points of two quantities, each with whiskers from its lower to its upper end; returns the
    path."""

    def paint(axes: Any) -> None:
        for name, points in series.items():
            ends = [
                [[abs(value - low) for (value, low, _) in along], [abs(high - value) for (value, _, high) in along]]
                for along in ([one[0] for one in points], [one[1] for one in points])
            ]
            axes.errorbar(
                [across[0] for across, _ in points],
                [up[0] for _, up in points],
                xerr=ends[0],
                yerr=ends[1],
                label=name,
                marker="o",
                capsize=3,
                linewidth=1.4,
            )
        axes.legend(frameon=False)

    return _draw(path, title, x, y, paint)


def bars(
    values: Mapping[str, float],
    path: Path,
    *,
    title: str,
    y: str,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """A bar a name, with whiskers where intervals are given; returns the path."""

    def paint(axes: Any) -> None:
        names = list(values)
        whiskers = None
        if intervals:
            whiskers = [
                [max(0.0, values[n] - intervals[n][0]) for n in names],
                [max(0.0, intervals[n][1] - values[n]) for n in names],
            ]
        axes.bar(names, [values[n] for n in names], color=INK, width=0.6, yerr=whiskers, capsize=4)

    return _draw(path, title, "", y, paint)


def paired_bars(
    values: Mapping[str, tuple[float, float]], names: tuple[str, str], path: Path, *, title: str, y: str
) -> str:
    """Two bars a name, side by side; returns the path."""

    def paint(axes: Any) -> None:
        for number, (label, colour) in enumerate(zip(names, (INK, "#c98b2b"), strict=True)):
            at = [place + (number - 0.5) * 0.36 for place in range(len(values))]
            axes.bar(at, [pair[number] for pair in values.values()], width=0.34, label=label, color=colour)
        # Long ones would run into each other.
        labels = [textwrap.fill(name.replace("_", " "), LABEL_WIDTH) for name in values]
        axes.set_xticks(range(len(values)), labels)
        highest = max((max(pair) for pair in values.values()), default=0.0)
        axes.set_ylim(0, 1.2 * highest or 1.0)  # room for the legend above the bars
        axes.legend(frameon=False, ncols=2, loc="upper center")

    return _draw(path, title, "", y, paint)


def reliability_plot(series: Mapping[str, Sequence[tuple[float, float]]], path: Path, *, title: str) -> str:
    """A line a name through (probability, share that is correct), beside the diagonal of perfect calibration; returns the
    path."""

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.2, label="perfect")
        for name, points in series.items():
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name, linewidth=1.4)
        axes.legend(frameon=False)

    return _draw(path, title, "probability of correct", "share correct", paint)
