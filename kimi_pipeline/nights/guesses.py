"""Stale guesses: a newer checkpoint guesses without reasoning where it could change what a set takes.

Belongs here: which prompts are guessed again, counting, putting finished ones in force. Does not belong here: what a hit
means (`curation/decide.py`). Only prompts that pass a set's difficulty are guessed: of the others no guess decides anything.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import grouped
from kimi_pipeline.curation.corrections import with_corrections
from kimi_pipeline.curation.decide import KEPT, Figures, decide_difficulty
from kimi_pipeline.curation.difficulty import DIFFICULTY
from kimi_pipeline.curation.estimates import GUESSED, RATED, Base, in_force
from kimi_pipeline.curation.guessability import GUESSABILITY, guess_rows, held_to_short_answers
from kimi_pipeline.curation.scope import fit_problems
from kimi_pipeline.curation.stopping import recipes_in_force
from kimi_pipeline.inference.budget import Bounds
from kimi_pipeline.inference.drawing import SamplingPass, draw
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.nights.reestimation import put_in_force
from kimi_pipeline.nights.staleness import Stale
from kimi_pipeline.nights.target import Target
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, require_outcome

WAVE = 64  # prompts that are guessed round by round together: a budget leaves at most so many unfinished
STATE = """
    select a.problem_id, coalesce(g.checkpoint, $guessed_by) checkpoint, coalesce(g.template, $guessed_in) template,
           coalesce(d.n, 0) n, coalesce(d.correct, 0) correct, coalesce(d.cut, 0) cut
    from asked a
    left join guessed g using (problem_id)
    left join rated r using (problem_id)
    left join difficulty d on d.problem_id = a.problem_id and d.checkpoint = coalesce(r.checkpoint, $rated_by)
        and d.template = coalesce(r.template, $rated_in)
    order by if(coalesce(d.n, 0) = 0, 0, d.correct / d.n) desc, a.problem_id
"""
"""The easier first: they are guessed more often."""


def guess_again(context: Context, target: Target, bounds: Bounds) -> dict[str, Any]:
    """Guess until the bounds end it or nothing is stale: `{"stale", "sampled", "left", "samples", "tokens", "stopped_by"}`."""
    curation = context.profile.curation
    short = held_to_short_answers(context)
    template = TEMPLATES[target.template].id("guess", short)
    base = Base.of(GUESSED, require_outcome(GUESSABILITY, context).outputs, context.profile)
    problems = grouped(with_corrections(context.lake, fit_problems(context)))
    stale = _stale(context, target, template, base, problems)
    if not stale:
        return {"stale": 0, "sampled": 0, "left": 0, "samples": 0, "tokens": 0, "seconds": 0.0, "stopped_by": ""}
    place = {problem_id: at for at, problem_id in enumerate(problems.column("problem_id").to_pylist())}
    chosen = problems.take(pa.array([place[one.problem_id] for one in stale], pa.int64()))
    drawn = draw(
        context,
        [
            SamplingPass(
                purpose="guess",
                checkpoint=target.checkpoint,
                folder=target.folder,
                problems=chosen,
                template=target.template,
                format="guess",
                temperature=curation.guess_temperature,
                max_tokens=curation.guess_max_tokens,
                samples=curation.guesses,
                stop_at_first_correct=True,
                constrained=short,
                wave=WAVE,
            )
        ],
        bounds,
    )
    key = {
        "checkpoint": target.checkpoint,
        "template": template,
        "temperature": curation.guess_temperature,
        "max_tokens": curation.guess_max_tokens,
        "samples": curation.guesses,
    }
    rows, _ = guess_rows(context.lake, problems, key)
    whole = {row["problem_id"] for row in rows if row["hit_at"] or row["attempts"] == curation.guesses}
    whole |= _asked_out(context, key)  # with a guess among them that has no verdict for good
    done = [one for one in stale if one.problem_id in whole]
    finished = {one.problem_id for one in done}
    made = [row for row in rows if row["problem_id"] in finished]
    reason = f"guesses of {target.checkpoint} made again"
    context.lake.upsert(tables.GUESSABILITY, made, run_id=context.run_id, reason=reason)
    put_in_force(context, base, target, done, template)
    return {
        "stale": len(stale),
        "sampled": len(done),
        "left": len(stale) - len(done),
        "samples": drawn.drawn,
        "tokens": drawn.committed_tokens,
        "seconds": round(drawn.seconds, 1),
        "stopped_by": drawn.stopped_by,
    }


def _stale(context: Context, target: Target, template: str, base: Base, problems: pa.Table) -> list[Stale]:
    """The prompts that pass some set's difficulty and whose guesses are another checkpoint's, or in another wording."""
    lake, profile = context.lake, context.profile
    rated = Base.of(RATED, require_outcome(DIFFICULTY, context).outputs, profile)
    rows = lake.rows(
        STATE,
        {
            "guessed_by": base.checkpoint,
            "guessed_in": base.template,
            "rated_by": rated.checkpoint,
            "rated_in": rated.template,
        },
        asked=problems.select(["problem_id"]),
        guessed=in_force(lake, profile.name, base),
        rated=in_force(lake, profile.name, rated),
    )
    recipes = [recipe for recipe in recipes_in_force(context) if "guessability" in recipe.filters]
    found = []
    for row in rows:
        figures = Figures(row["problem_id"], "", row["n"], row["correct"], None, row["cut"])
        if not any("difficulty" not in one.filters or decide_difficulty(figures, one) in KEPT for one in recipes):
            continue
        if row["checkpoint"] != target.checkpoint:
            cause = Reason.NEW_CHECKPOINT
        elif row["template"] != template:
            cause = Reason.NEW_TEMPLATE
        else:
            continue
        found.append(Stale(row["problem_id"], cause, 0.0, row["n"], row["correct"], 0.0, 0, profile.curation.guesses))
    return found


def _asked_out(context: Context, key: dict[str, Any]) -> set[str]:
    rows = context.lake.rows(
        """
        select problem_id from samples
        where purpose = 'guess' and checkpoint = $checkpoint and template = $template and temperature = $temperature
          and max_tokens = $max_tokens and sample_index < $samples
        group by 1 having count(*) >= $samples
        """,
        key,
    )
    return {row["problem_id"] for row in rows}
