"""Plan: what a run would compute and why, and what it would draw, take and cost, without doing it.

Belongs here: which stages a selection means, reading where every stage stands, and expecting samples, tokens, time and price
from what earlier runs took.
Does not belong here: running (`stages.py`), adding up what was spent (`cost.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from kimi_pipeline.curation.scope import fit_problems
from kimi_pipeline.errors import UserError
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.stages import Context, Stage, because, latest_outcome

ASKING = {
    "difficulty": ("difficulty", "samples", "temperature", "max_tokens"),
    "guessability": ("guess", "guesses", "guess_temperature", "guess_max_tokens"),
}
"""Stages that ask the SFT model: their samples' purpose; settings with the number, temperature and longest answer."""


def selected(select: str, lineage: Mapping[str, Stage]) -> list[str]:
    """The stages that `rl_prompt_set, tags` names (empty: every one) with all that they read, directly or not, in the
    lineage's order. Raises UserError for a stage that is not there, with the name that comes near."""
    waiting = known([name.strip() for name in select.split(",") if name.strip()] or lineage, lineage, "stage")
    wanted: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += lineage[name].upstream
    return [name for name in lineage if name in wanted]


def known(names: Iterable[str], there: Iterable[str], what: str) -> list[str]:
    """The names as a list. Raises UserError for one that is not among `there`, with one that comes near."""
    there, names = list(there), list(names)
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(there)}"
            raise UserError(f"unknown {what} {name!r}: {hint}")
    return names


def plan(context: Context, select: str = "") -> list[dict[str, Any]]:
    """A row a stage, in order: `{"stage", "state", "because", "prompts", "samples", "tokens", "seconds", "money"}`.

    `state` is unchanged or compute. Prompts and samples are what is missing of the store (all of them where the
    checkpoint itself would change), tokens those times the mean of earlier samples of the purpose (without any: the
    longest answer), seconds what the stage last took, in proportion to its samples where it draws any; None where
    nothing is known. A stage whose inputs are computed may turn out to be unchanged: the plan is an upper bound there.
    Problems are those of the last run: how many a source has that was never read, nobody knows before it is read.
    Raises UserError as `selected` does.
    """
    rows: list[dict[str, Any]] = []
    recomputed: set[str] = set()
    for name in selected(select, STAGES):
        stage = STAGES[name]
        reasons = because(stage, context, STAGES, recomputed)
        row: dict[str, Any] = {"stage": name, "state": "compute" if reasons else "unchanged"}
        row |= {"because": ", ".join(reasons), "prompts": 0, "samples": 0, "tokens": 0, "seconds": 0.0, "money": 0.0}
        if reasons:
            recomputed.add(name)
            last = latest_outcome(stage, context)
            row["seconds"] = last.seconds if last else None
            if name in ASKING:
                row |= _asking(context, name, fresh="sft_checkpoint" in recomputed)
        rows.append(row)
    return rows


def _asking(context: Context, name: str, fresh: bool) -> dict[str, Any]:
    purpose, *settings = ASKING[name]
    most, temperature, longest = (getattr(context.profile.curation, setting) for setting in settings)
    checkpoint = latest_outcome(STAGES["sft_checkpoint"], context)
    digest = checkpoint.outputs.get("digest", "") if checkpoint and not fresh else ""
    problems = _problems(context)
    (known,) = context.lake.rows(
        """
        select count(*) filter (wanted) samples, count(distinct problem_id) filter (wanted) asked,
               avg(completion_tokens) tokens, count(*) / nullif(count(distinct (problem_id, checkpoint)), 0) a_problem
        from (select *, checkpoint = $digest and temperature = $temperature and max_tokens = $longest as wanted
              from samples where purpose = $purpose)
        """,
        {"digest": digest, "purpose": purpose, "temperature": temperature, "longest": longest},
    )
    # A guess stops at the first right one, so a problem takes fewer than the most: as many as before.
    a_problem = known["a_problem"] if purpose == "guess" and known["a_problem"] else most
    samples = max(0, round(problems * a_problem) - known["samples"])
    tokens = round(samples * (known["tokens"] or longest))
    last = latest_outcome(STAGES[name], context)
    drawn = last.figures.get("samples_drawn") if last else None
    return {
        "prompts": max(0, problems - known["asked"]) if samples else 0,
        "samples": samples,
        "tokens": tokens,
        "seconds": round(last.seconds * samples / drawn, 1) if last and drawn else (last.seconds if last else None),
        "money": round(tokens / 1e6 * context.profile.inference.price_per_million_tokens, 4),
    }


def _problems(context: Context) -> int:
    """Problems that will be asked: the fit ones of the last run; before a first one, at most the rows that are read."""
    if all(latest_outcome(STAGES[name], context) for name in ("duplicates", "evaluability", "contamination")):
        return fit_problems(context).num_rows
    return context.profile.corpora.limit or 0
