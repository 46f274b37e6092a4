"""The report's page: one file that needs nothing else, light and dark, readable without a mouse.

Belongs here: its charts (SVG in the page's own colours) and writing it whole. Does not belong here: the numbers
(`report.py`), the page's words and style (`report.html.j2`).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kimi_pipeline.audit.report import report
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.lake import Lake

BUCKETS = ("unsolved", "hard", "medium", "easy")
INK, GRID, ACCENT = "#010101", "#020202", "#030303"
SHADES = ("#040404", "#050505", "#060606", "#070707")
COLOURS = {INK: "var(--ink)", GRID: "var(--grid)", ACCENT: "var(--accent)"}
COLOURS |= {shade: f"var(--bucket-{place})" for place, shade in enumerate(SHADES)}
"""Colours that stand for the page's own: one chart serves light and dark."""


def write_report(lake: Lake, name: str, folder: Path) -> Path:
    """Write the page of SET@VERSION into a folder; returns its path. Raises UserError for an unknown version."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = report(lake, name)
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).get_template("report.html.j2")
    text = page.render(
        found=found,
        charts={"rates": _rates(found), "domains": _domains(found), "guesses": _guesses(found)},
        problems=json.dumps([_row(row) for row in found["problems"]], ensure_ascii=False).replace("<", "\\u003c"),
    )
    path = folder / f"report-{found['version'].replace('@', '-')}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): give --output a writable folder") from error
    return path


def _row(row: dict[str, Any]) -> list[Any]:
    """A line of the table: id, prompt, domain, pass rate with interval, in or out, shown as, why."""
    rate = "" if row["pass_rate"] is None else f"{row['pass_rate']:.2f} ({row['low']:.2f}–{row['high']:.2f})"
    why = f"{row['change']}: {row['cause']}" if row["change"] else f"{row['stage']}: {row['reason_code']}"
    if row["shown_as"] == "near a threshold":
        why = ""
    return [
        row["problem_id"][:12],
        " ".join(row["prompt"].split()),
        row["domain"],
        rate,
        "in" if row["member"] else "out",
        row["shown_as"],
        why,
    ]


def _chart(
    label: str, width: float, height: float, paint: Callable[[Any], None], along: Literal["x", "y"] = "y"
) -> str:
    """A chart as an SVG element with a text for those who can't see it."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(facecolor="none")
        paint(axes)
        axes.grid(axis=along, color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(INK)
        axes.tick_params(colors=INK, length=0)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    for colour, name in COLOURS.items():
        text = text.replace(colour, name)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", text)
    opening = re.search(r"<svg[^>]*viewBox=\"([^\"]+)\"[^>]*>", text)
    assert opening is not None
    inner = text[opening.end() : text.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    key = re.sub(r"\W+", "-", label.lower())[:24]
    inner = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{key}-", inner)  # ids of two charts in one page must not meet
    from markupsafe import Markup, escape

    return Markup(f'<svg viewBox="{opening.group(1)}" role="img" aria-label="{escape(label)}">{inner}</svg>')


def _rates(found: dict[str, Any]) -> str:
    rows = found["rates"]

    def paint(axes: Any) -> None:
        at = [row["pass_rate"] for row in rows]
        axes.bar(at, [row["problems"] for row in rows], width=0.08, color=GRID, label="all rated")
        axes.bar(at, [row["members"] for row in rows], width=0.08, color=ACCENT, label="in the set")
        ends = [
            [row["problems"] - row["low"] for row in rows],
            [row["high"] - row["problems"] for row in rows],
        ]
        axes.errorbar(at, [row["problems"] for row in rows], yerr=ends, fmt="none", ecolor=INK, elinewidth=1, capsize=3)
        axes.set(xlabel="pass rate (lower is harder)", ylabel="problems", xticks=at)
        axes.legend(frameon=False, labelcolor=INK)

    most = max(rows, key=lambda row: row["problems"])
    label = f"Difficulty: problems by pass rate; the most, {most['problems']}, have about {most['pass_rate']:.1f}"
    return _chart(label, 7, 3, paint)


def _domains(found: dict[str, Any]) -> str:
    rows = found["domains"]
    domains = sorted({row["domain"] for row in rows})
    count = {(row["domain"], row["bucket"]): row["problems"] for row in rows}

    def paint(axes: Any) -> None:
        left = [0] * len(domains)
        for shade, bucket in zip(SHADES, BUCKETS, strict=True):
            widths = [count.get((domain, bucket), 0) for domain in domains]
            axes.barh(domains, widths, left=left, color=shade, label=bucket, height=0.6)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.invert_yaxis()
        axes.set(xlabel="problems in the set")
        axes.legend(frameon=False, labelcolor=INK, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    return _chart("Domain by difficulty: problems in the set", 7, 1.3 + 0.45 * max(1, len(domains)), paint, "x")


def _guesses(found: dict[str, Any]) -> str:
    hits = found["guesses"]["by_attempt"]

    def paint(axes: Any) -> None:
        last = max(hits, default=1)
        axes.bar(range(1, last + 1), [hits.get(place, 0) for place in range(1, last + 1)], width=0.6, color=ACCENT)
        axes.set(xlabel="attempt that was right", ylabel="problems", xticks=range(1, last + 1))

    label = f"Guessability: {found['guesses']['guessed']} of {found['guesses']['asked']} problems were guessed"
    return _chart(label, 7, 2.4, paint)
