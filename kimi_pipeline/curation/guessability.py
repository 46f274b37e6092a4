"""Guessability [2.1]: a model guesses the answer without reasoning; right within N = 8 attempts and the prompt is removed.

Belongs here: which guesses are wanted, the first hit, and what chance alone gives. Does not belong here: drawing
(`inference/`), removing (`decide.py`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.asking import CODE, UPSTREAM, VERDICTS, ask
from kimi_pipeline.curation.corrections import QUESTION, corrected_statuses
from kimi_pipeline.curation.people import settled_digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import MANY_ANSWERS
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.math_rules import canonical
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage

GUESSES = f"""
    with guesses as (
        select s.* replace (coalesce(c.corrected_status, s.status) as status),
               row_number() over (partition by s.problem_id order by sample_index) as attempt
        from samples s semi join asked using (problem_id) left join corrected c using (sample_id)
        where purpose = 'guess' and checkpoint = $checkpoint and template = $template
          and temperature = $temperature and max_tokens = $max_tokens and sample_index < $samples
          and status in {tuple(str(v) for v in VERDICTS)}
    )
    select a.problem_id, count(g.sample_id) attempts,
           min(attempt) filter (status = '{Status.CORRECT}') hit_at,
           arg_min(sample_id, attempt) filter (status = '{Status.CORRECT}') hit_sample_id,
           count(*) filter (finish_reason = 'length') cut
    from asked a left join guesses g using (problem_id)
    group by a.problem_id order by a.problem_id
"""


def _settings(context: Context) -> dict[str, Any]:
    curation = context.profile.curation
    return {
        "guesses": curation.guesses,
        "temperature": curation.guess_temperature,
        "max_tokens": curation.guess_max_tokens,
        "template": curation.template,
        "seed": context.profile.seed,
        "carrier": context.profile.inference.carrier,
        "short": held_to_short_answers(context),
        "corrections": settled_digest(context.lake, QUESTION),
    }


def held_to_short_answers(context: Context) -> bool:
    """Whether the decoder is held to a short answer: by the profile, where the carrier can."""
    inference = context.profile.inference
    return context.profile.curation.short_guesses and (
        inference.carrier != "endpoint" or inference.endpoint_short_answers
    )


def by_chance(problems: pa.Table, guesses: int) -> dict[str, float]:
    """For each problem, the probability that `guesses` draws from the answers' own distribution hit its answer.

    The distribution is that of the problem's neighbours: same source, discipline and family. A model that guesses at
    this rate knows no more than which answers are frequent. No answer of a coding problem is another one's, nor of one that
    its task scores: 0.
    """
    rows = problems.to_pylist()
    groups = [(row["source"], row["discipline"], row["family"]) for row in rows]
    answers = [canonical(row["answer"]) for row in rows]
    sizes, counts = Counter(groups), Counter(zip(groups, answers, strict=True))
    return {
        row["problem_id"]: 0.0
        if row["answer_kind"] in MANY_ANSWERS
        else 1 - (1 - counts[group, answer] / sizes[group]) ** guesses
        for row, group, answer in zip(rows, groups, answers, strict=True)
    }


def guess_rows(lake: Lake, problems: pa.Table, key: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Rows of the guessability table under `key` (as `difficulty.pass_rates` takes it), and how many guesses were cut."""
    found = lake.rows(
        GUESSES, key, asked=problems.select(["problem_id"]), corrected=corrected_statuses(lake, ("guess",))
    )
    chance = by_chance(problems, key["samples"])
    rows = [
        {
            "problem_id": row["problem_id"],
            "checkpoint": key["checkpoint"],
            "template": key["template"],
            "attempts": row["attempts"],
            "excluded": 0 if row["hit_at"] else key["samples"] - row["attempts"],
            "hit_at": row["hit_at"],
            "hit_sample_id": row["hit_sample_id"],
            "by_chance": chance[row["problem_id"]],
        }
        for row in found
    ]
    return rows, sum(row["cut"] for row in found)


def estimate_guessability(context: Context) -> Outcome:
    """Draw guesses round by round (a problem leaves at its first hit), then note where each was hit."""
    curation = context.profile.curation
    asked = ask(
        context,
        "guess",
        "guess",
        temperature=curation.guess_temperature,
        max_tokens=curation.guess_max_tokens,
        samples=curation.guesses,
        stop_at_first_correct=True,
        constrained=held_to_short_answers(context),
    )
    rows, cut = guess_rows(context.lake, asked.problems, asked.key)
    chance = {row["problem_id"]: row["by_chance"] for row in rows}
    context.lake.upsert(tables.GUESSABILITY, rows, run_id=context.run_id, reason=f"guesses of {asked.checkpoint}")
    hits = sum(row["hit_at"] is not None for row in rows)
    return Outcome(
        data_version=content_digest(tables.GUESSABILITY, rows),
        figures={
            "problems": len(rows),
            "guessed": hits,
            "guessed_share": round(hits / len(rows), 4) if rows else None,
            "cut_guesses": cut,
            "expected_by_chance": round(sum(chance.values()) / len(rows), 4) if rows else None,
            **asked.figures(),
        },
        outputs={"checkpoint": asked.checkpoint, "template": asked.template},
        preview=[row for row in rows if row["hit_at"]][:5],
    )


GUESSABILITY = Stage(
    name="guessability",
    description="Guess each answer without reasoning; right within the allowed attempts marks it easy to hack",
    group="difficulty",
    compute=estimate_guessability,
    upstream=UPSTREAM,
    settings=_settings,
    code=(__name__, *CODE),
    tables=(tables.GUESSABILITY, tables.SAMPLES),
    kinds=("vllm", "deltalake"),
)
