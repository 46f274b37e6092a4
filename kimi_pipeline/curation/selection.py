"""Selection: cut a version of a named prompt set from the judged problems, with its manifest.

Belongs here: applying a recipe, the set's decisions, the funnel's counts, versions. Does not belong here: thresholds as
pure rules (`decide.py`), estimates (`difficulty.py`, `guessability.py`).
A version is immutable: equal content gives no new version, other content always does.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.curation.corrections import corrected_answers
from kimi_pipeline.curation.decide import KEPT, Figures, bucket, choose, decide_difficulty, decide_guessability
from kimi_pipeline.curation.difficulty import DIFFICULTY
from kimi_pipeline.curation.guessability import GUESSABILITY
from kimi_pipeline.curation.promotion import promote
from kimi_pipeline.curation.recipe import Recipe, load_recipe
from kimi_pipeline.curation.scope import UNIQUE
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import as_json, table_digest
from kimi_pipeline.ledger import FUNNEL, IN_FORCE, KEEP, REFUSE, Decision, record
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome

RULE = "selection@1"
FIGURES = f"""
    select problem_id, prompt, answer, answer_kind, coalesce(t.domain, 'unknown') as domain,
           coalesce(d.n, 0) n, coalesce(d.correct, 0) correct, coalesce(d.cut, 0) cut, g.hit_at, g.hit_sample_id
    from ({UNIQUE})
    semi join (select * from evaluability where verdict = '{KEEP}') using (problem_id)
    semi join (select * from contamination where verdict = '{KEEP}') using (problem_id)
    semi join (
        select * from reference_checks
        where verdict = '{KEEP}' and checkpoint = $rated_by and template = $rated_in
    ) using (problem_id)
    left join (select problem_id, domain from tags) t using (problem_id)
    left join (select * from difficulty where checkpoint = $rated_by and template = $rated_in) d using (problem_id)
    left join (select * from guessability where checkpoint = $guessed_by and template = $guessed_in) g using (problem_id)
    order by problem_id
"""


def set_sources(context: Context, recipe: Recipe) -> list[str]:
    """The sources a set draws from. Raises UserError where the recipe names one that the profile does not have."""
    names = source_names(context)
    unknown = sorted(set(recipe.sources) - set(names))
    if unknown:
        raise UserError(f"recipe {recipe.name}: no source {unknown[0]!r} in this profile (it has {', '.join(names)})")
    return list(recipe.sources or names)


def _settings(context: Context) -> dict[str, Any]:
    return load_recipe(context.home, context.prompt_set).in_force(context.profile).model_dump()


def cut(context: Context) -> Outcome:
    """Decide on every problem, write the decisions that changed, and a new version where the content did."""
    recipe = load_recipe(context.home, context.prompt_set).in_force(context.profile)
    sources = set_sources(context, recipe)
    difficulty, guessability = require_outcome(DIFFICULTY, context), require_outcome(GUESSABILITY, context)
    asked = {"rated": difficulty.outputs, "guessed": guessability.outputs}
    made_by = {f"{did}_by": outputs["checkpoint"] for did, outputs in asked.items()}
    made_by |= {f"{did}_in": outputs["template"] for did, outputs in asked.items()}
    rows = context.lake.rows(FIGURES, {"sources": sources, **made_by})
    corrected = corrected_answers(context.lake)
    rows = [row | {"answer": corrected.get(row["problem_id"], row["answer"])} for row in rows]
    decisions, selected = _decide(rows, recipe, difficulty.outputs["checkpoint"], guessability.outputs["checkpoint"])
    record(context.lake, decisions, parameters=recipe.model_dump(), actor=RULE, run_id=context.run_id)
    content = [_member(context.prompt_set, row) for row in rows if row["problem_id"] in selected]
    named = table_digest(pa.Table.from_pylist(content, schema=MEMBER))
    funnel = _funnel(context, sources, decisions)
    manifest = {
        "recipe": recipe.model_dump(),
        "profile": context.profile.settings(),
        "checkpoint": difficulty.outputs["checkpoint"],
        "template": {"difficulty": difficulty.outputs["template"], "guessability": guessability.outputs["template"]},
        "inputs": {name: context.lake.version(tables.TABLES[name]) for name in INPUTS},
        "code": RULE,
        "sources": sources,
        "funnel": funnel,
        "digest": named,
    }
    version = _write_version(context, content, named, manifest)
    size = len(content)
    return Outcome(
        data_version=named,
        figures={
            "size": size,
            "version": version,
            "mean_pass_rate": round(sum(row["pass_rate"] for row in content) / size, 4) if size else None,
            **{f"{name}_problems": count for name, count in Counter(row["bucket"] for row in content).most_common()},
        },
        outputs={"prompt_set": context.prompt_set, "version": version, "digest": named},
        preview=[
            {"stage": s["stage"], "in": s["in"], "out": s["out"], "refused": as_json(s["refused"])} for s in funnel
        ],
    )


INPUTS = (
    "problems",
    "duplicates",
    "evaluability",
    "contamination",
    "tags",
    "samples",
    "difficulty",
    "guessability",
    "reference_checks",
)
MEMBER = pa.schema(
    [
        tables.PROMPT_SET.schema.field(n)
        for n in tables.PROMPT_SET.schema.names
        if n not in ("version", "run_id", "created_at")
    ]
)


def _decide(
    rows: list[dict[str, Any]], recipe: Recipe, difficulty_by: str, guesses_by: str
) -> tuple[list[Decision], set[str]]:
    name = recipe.name
    decisions: list[Decision] = []
    left: list[Figures] = []

    def add(stage: str, problem_id: str, reason: Reason, evidence: dict[str, Any], checkpoint: str) -> bool:
        kept = reason in KEPT
        verdict = KEEP if kept else REFUSE
        decisions.append(Decision(stage, problem_id, verdict, reason, evidence, name, checkpoint=checkpoint))
        return kept

    for row in rows:
        figures = Figures(row["problem_id"], row["domain"], row["n"], row["correct"], row["hit_at"], row["cut"])
        rated = decide_difficulty(figures, recipe) if "difficulty" in recipe.filters else Reason.NOT_FILTERED
        evidence = {"n": figures.n, "correct": figures.correct} | ({"cut": figures.cut} if figures.cut else {})
        if not add("difficulty", figures.problem_id, rated, evidence, difficulty_by):
            continue
        guessed = decide_guessability(figures) if "guessability" in recipe.filters else Reason.NOT_FILTERED
        evidence = {"hit_at": figures.hit_at, "sample_id": row["hit_sample_id"]} if figures.hit_at else {}
        if add("guessability", figures.problem_id, guessed, evidence, guesses_by):
            left.append(figures)
    chosen = choose(left, recipe)
    for figures in left:
        add("selection", figures.problem_id, chosen[figures.problem_id], {"seed": recipe.seed}, "")
    return decisions, {problem_id for problem_id, reason in chosen.items() if reason in KEPT}


def _member(prompt_set: str, row: dict[str, Any]) -> dict[str, Any]:
    rate = row["correct"] / row["n"] if row["n"] else 0.0
    return {
        "prompt_set": prompt_set,
        "problem_id": row["problem_id"],
        "prompt": row["prompt"],
        "answer": row["answer"],
        "answer_kind": row["answer_kind"],
        "domain": row["domain"],
        "bucket": bucket(rate),
        "pass_rate": rate,
        "weight": 1.0,
        "reason": str(Reason.SELECTED),
    }


def _funnel(context: Context, sources: list[str], decisions: list[Decision]) -> list[dict[str, Any]]:
    """Counts a stage, in = out + refused; the first two count source rows, the others problems."""
    quarantined = context.lake.rows(
        "select reason_code, count(*) n from quarantine where source in (select unnest(?)) group by 1", [sources]
    )
    counts = context.lake.rows(
        f"""
        with rows as (select * from problems where source in (select unnest(?))),
             repeats as (select d.* from duplicates d where source in (select unnest(?))),
             in_force as ({IN_FORCE}),
             alone as (select distinct problem_id from rows)
        select 'ingest' stage, 'kept' reason, count(*) n from rows
        union all select 'duplicates', '{Reason.EXACT_DUPLICATE}', count(*) from repeats
        union all select l.stage, l.reason_code, count(*) from in_force l semi join alone using (problem_id)
            where l.verdict = '{REFUSE}' and l.stage = 'evaluability' group by all
        union all select l.stage, l.reason_code, count(*) from in_force l semi join alone using (problem_id)
            anti join (select problem_id from in_force where stage = 'evaluability' and verdict = '{REFUSE}') r
                using (problem_id)
            where l.verdict = '{REFUSE}' and l.stage = 'contamination' group by all
        union all select l.stage, l.reason_code, count(*) from in_force l semi join alone using (problem_id)
            anti join (select problem_id from in_force
                       where stage in ('evaluability', 'contamination') and verdict = '{REFUSE}') r using (problem_id)
            where l.verdict = '{REFUSE}' and l.stage = 'reference_checks' group by all
        """,
        [sources, sources],
    )
    refused: dict[str, Counter[str]] = {stage: Counter() for stage in FUNNEL}
    rows = 0
    for row in counts:
        if row["stage"] == "ingest":
            rows = row["n"]
        elif row["n"]:
            refused[row["stage"]][row["reason"]] += row["n"]
    for row in quarantined:
        refused["ingest"][row["reason_code"]] += row["n"]
    for decision in decisions:
        if decision.verdict == REFUSE:
            refused[decision.stage][str(decision.reason)] += 1
    funnel = []
    entering = rows + refused["ingest"].total()
    for stage in FUNNEL:
        out = entering - refused[stage].total()
        funnel.append({"stage": stage, "in": entering, "out": out, "refused": dict(refused[stage].most_common())})
        entering = out
    return funnel


def _write_version(context: Context, content: list[dict[str, Any]], named: str, manifest: dict[str, Any]) -> int:
    """The version's number: the newest one's where its digest is the same, else the next."""
    newest = context.lake.rows(
        "select version, digest from prompt_set_versions where prompt_set = ? order by version desc limit 1",
        [context.prompt_set],
    )
    if newest and newest[0]["digest"] == named:
        return int(newest[0]["version"])
    version = int(newest[0]["version"]) + 1 if newest else 1
    reason = f"{context.prompt_set}@{version}"
    rows = [row | {"version": version} for row in content]
    # A version counts once its row stands in prompt_set_versions; rows of a run that was cut off before are replaced.
    where = f"prompt_set = '{context.prompt_set}' and version = {version}"
    context.lake.replace(tables.PROMPT_SET, rows, where=where, run_id=context.run_id, reason=reason)
    context.lake.append(
        tables.PROMPT_SET_VERSIONS,
        [
            {
                "prompt_set": context.prompt_set,
                "version": version,
                "size": len(content),
                "digest": named,
                "manifest": as_json(manifest | {"rows_at": context.lake.version(tables.PROMPT_SET)}),
            }
        ],
        run_id=context.run_id,
        reason=reason,
    )
    promote(context.lake, context.prompt_set, version, actor=RULE, reason="newly cut", run_id=context.run_id)
    return version


def read_manifest(context: Context, version: int) -> dict[str, Any]:
    rows = context.lake.rows(
        "select manifest from prompt_set_versions where prompt_set = ? and version = ?", [context.prompt_set, version]
    )
    if not rows:
        raise UserError(f"no version {version} of prompt set {context.prompt_set!r}")
    return dict(json.loads(rows[0]["manifest"]))


RL_PROMPT_SET = Stage(
    name="rl_prompt_set",
    description="Cut a version of a named prompt set: thresholds, target mix, manifest",
    group="prompt_sets",
    compute=cut,
    upstream=(
        "corpus",
        "duplicates",
        "problem_tags",
        "evaluability",
        "contamination",
        "difficulty",
        "reference_checks",
        "guessability",
    ),
    settings=_settings,
    code=(__name__, "kimi_pipeline.curation.decide", "kimi_pipeline.curation.scope"),
    tables=(tables.PROMPT_SET, tables.PROMPT_SET_VERSIONS, tables.LEDGER),
    kinds=("duckdb", "deltalake"),
    by_set=True,
)
