"""What `kimi-pipeline acceptance` leaves behind: `docs/acceptance.md` for people, `docs/acceptance.json` for machines.

Belongs here: the page. Does not belong here: measuring and judging (`acceptance.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.acceptance import PACE_OF_BOUNDS, Judged
from kimi_pipeline.files import write_whole

_SHOWN = 8  # of a list's figures; more are summed up


def as_rows(found: Sequence[Judged]) -> list[dict[str, Any]]:
    """One row a check, as JSON can hold it."""
    return [
        {
            "check": each.check.name,
            "section": each.command.section,
            "promise": each.check.promise,
            "bound": each.check.bound,
            "figure": each.figure,
            "verdict": each.verdict,
            "why": each.why,
            "command": " ".join(each.command.run),
            "seconds": round(each.seconds, 1),
            "pace": each.pace,
        }
        for each in found
    ]


def write(found: Sequence[Judged], folder: Path) -> None:
    """The page and its JSON, each replaced as a whole."""
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    for name, text in (
        ("acceptance.md", page(found, now)),
        (
            "acceptance.json",
            json.dumps({"date": now, "machine": _machine(), "checks": as_rows(found)}, indent=1) + "\n",
        ),
    ):
        write_whole(folder / name, text)


def page(found: Sequence[Judged], date: str) -> str:
    """The page's Markdown: what falls short first, then every check by section."""
    count = {verdict: sum(each.verdict == verdict for each in found) for verdict in _ORDER}
    lines = [
        "# Acceptance",
        "",
        "Written by `make acceptance` (`TIER=full`: all of it; `ONLY=NAME` shows one check and leaves this page). Each line is",
        "one promise with its bound, the figure that its command gave, and the verdict.",
        "",
        f"{date}, {_machine()}: "
        + ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
        + ".",
        *_paces(found),
        "",
    ]
    short = [each for each in found if each.verdict in ("falls short", "failed")]
    if short:
        lines += ["## What falls short", ""]
        lines += [
            f"- **{each.check.name}** ({shown(each.figure)}; {each.check.bound}{_pace(each)}): {each.why}"
            for each in short
        ]
        lines.append("")
    for section, group in groupby(found, key=lambda each: each.command.section):
        lines += [f"## {section}", "", "| check | promise | bound | figure | verdict |", "|---|---|---|---|---|"]
        members = list(group)
        for each in members:
            verdict = each.verdict if each.verdict == "holds" else f"**{each.verdict}**"
            why = f" ({each.why})" if each.verdict == "not run" else ""
            cells = (each.check.name, each.check.promise, each.check.bound, shown(each.figure), verdict + why)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        commands = dict.fromkeys(" ".join(each.command.run) for each in members)
        lines += ["", *(f"    {command}" for command in commands), ""]
    return "\n".join(lines)


def _paces(found: Sequence[Judged]) -> list[str]:
    """How fast the machine was, for readers of bounds in seconds."""
    taken = [each.pace for each in found if each.pace is not None]
    if not taken:
        return []
    return [
        f"A step of a plain Python loop took {min(taken)} to {max(taken)} ns beside the commands; bounds in seconds were set "
        f"where it takes {PACE_OF_BOUNDS}."
    ]


def _pace(one: Judged) -> str:
    return "" if one.pace is None else f"; at {one.pace} ns a step"


_ORDER = ("holds", "falls short", "failed", "not run")


def shown(figure: Any) -> str:
    """A figure in a few characters; a long list as its length, least and greatest."""
    if isinstance(figure, list):
        numbers = [each for each in figure if isinstance(each, int | float) and not isinstance(each, bool)]
        if len(figure) <= _SHOWN:
            return ", ".join(shown(each) for each in figure)
        if len(numbers) == len(figure):
            return f"{len(figure)} figures, {shown(min(numbers))} to {shown(max(numbers))}"
        values = sorted({shown(each) for each in figure})
        return f"{len(figure)} times {', '.join(values)}" if len(values) <= _SHOWN else f"{len(figure)} values"
    if isinstance(figure, float):
        return f"{figure:.4g}"
    return "" if figure is None else str(figure)


def _machine() -> str:
    return f"{os.cpu_count()} CPU cores"
