"""Selection: cut a version of a named prompt set from the judged problems, with its manifest.

Belongs here: applying a recipe, the set's decisions, versions. Does not belong here: thresholds as pure rules
(`decide.py`), the funnel's counts (`counting.py`), estimates (`difficulty.py`, `guessability.py`).
A version is immutable: equal content gives no new version, other content always does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.evaluation_sets import evaluation_set_names
from kimi_pipeline.corpora.ingest import source_names
from kimi_pipeline.corpora.withdrawals import withdrawn_sources
from kimi_pipeline.curation.choosing import LEAST_WEIGHT, choose
from kimi_pipeline.curation.contamination import CONTAMINATION
from kimi_pipeline.curation.corrections import corrected_answers
from kimi_pipeline.curation.counting import funnel_counts
from kimi_pipeline.curation.decide import KEPT
from kimi_pipeline.curation.difficulty import DIFFICULTY
from kimi_pipeline.curation.duplicates import DUPLICATES
from kimi_pipeline.curation.estimates import GUESSED, RATED, Base, estimates_digest, in_force
from kimi_pipeline.curation.evaluability import EVALUABILITY
from kimi_pipeline.curation.guessability import GUESSABILITY
from kimi_pipeline.curation.judged import judged_problems
from kimi_pipeline.curation.promotion import promote
from kimi_pipeline.curation.recipe import Recipe, load_recipe
from kimi_pipeline.curation.reference_checks import REFERENCE_CHECKS
from kimi_pipeline.curation.scope import UNIQUE
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP, REFUSE, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage, code_version, latest_outcome, require_outcome
from kimi_pipeline.tables.declare import as_json
from kimi_pipeline.tables.lineage import turn_of

RULE = "selection@3"
DECISIONS = f"""
    with said as (
        select problem_id, 'difficulty' as stage, rated as reason_code, rated_by as checkpoint,
               '{{"correct": ' || correct || if(cut > 0, ', "cut": ' || cut, '') || ', "n": ' || n || '}}' as evidence
        from judged
        union all
        select problem_id, 'guessability', guessed, guessed_by,
               if(hit_at is null, '{{}}',
                  '{{"hit_at": ' || hit_at || ', "sample_id": ' || to_json(hit_sample_id)::varchar || '}}')
        from judged where passed
        union all
        select problem_id, 'selection', reason, '', '{{"seed": ' || $seed || '}}' from chosen
    )
    select $prompt_set as prompt_set, stage, problem_id, '' as subject,
           if(reason_code in (select unnest($kept)), '{KEEP}', '{REFUSE}') as verdict, reason_code, evidence, checkpoint
    from said
"""
MEMBERS = f"""
    select $prompt_set as prompt_set, problem_id, p.prompt, coalesce(c.answer, p.answer) as answer, p.answer_kind,
           j.domain, j.bucket, j.pass_rate, if($by_failure, greatest(1 - j.pass_rate, {LEAST_WEIGHT}), 1.0) as weight,
           s.reason
    from ({UNIQUE}) p
    join (select * from chosen where reason = '{Reason.SELECTED}') s using (problem_id)
    join judged j using (problem_id)
    left join corrected c using (problem_id)
"""


def set_sources(context: Context, recipe: Recipe) -> list[str]:
    """The sources a set draws from, but for withdrawn ones.

    Raises UserError where the recipe names one that the profile does not have, and where none is left.
    """
    names = source_names(context)
    gone = withdrawn_sources(context.lake)
    unknown = sorted(set(recipe.sources) - set(names) - gone)
    if unknown:
        raise UserError(f"recipe {recipe.name}: no source {unknown[0]!r} in this profile (it has {', '.join(names)})")
    left = [name for name in recipe.sources or names if name not in gone]
    if not left:
        raise UserError(f"recipe {recipe.name}: every source it names is withdrawn: name another")
    return left


def _settings(context: Context) -> dict[str, Any]:
    recipe = load_recipe(context.home, context.prompt_set).in_force(context.profile)
    made_again = estimates_digest(context.lake, context.profile.name, _bases(context))
    return rules_of(recipe) | ({"estimates": made_again} if made_again else {})


def rules_of(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides on problems."""
    return recipe.model_dump(exclude={"nightly"})


def _bases(context: Context) -> list[Base]:
    """The stages' estimates, where there are some."""
    found = {RATED: latest_outcome(DIFFICULTY, context), GUESSED: latest_outcome(GUESSABILITY, context)}
    return [Base.of(kind, made.outputs, context.profile) for kind, made in found.items() if made]


def select(
    lake: Lake,
    recipe: Recipe,
    sources: list[str],
    made_by: dict[str, str],
    made_again: Sequence[pa.Table] = (),
) -> tuple[dict[str, pa.Table], Members]:
    """The tables judged and chosen, and the version's rows, from what the lake holds. `made_by`: `rated_by`, `rated_in`,
    `guessed_by` and `guessed_in`, the checkpoints and templates that problems were rated and guessed under; `made_again`: the
    estimates of both kinds that stand in for theirs (`estimates.in_force`)."""
    judged = judged_problems(lake, recipe, {"sources": sources, **made_by}, *made_again)
    passed = lake.sql(
        "select problem_id, domain, bucket, licence, kept from judged where guessed in (select unnest($kept))",
        {"kept": KEPT_CODES},
        judged=judged,
    )
    made = {"judged": judged, "chosen": choose(passed, recipe)}
    asked = {"prompt_set": recipe.name, "sources": sources, "by_failure": recipe.weights == "by_failure"}
    return made, Members(asked, made | {"corrected": _corrected(lake)})


def cut(context: Context) -> Outcome:
    """Cut a version and make it current, unless it once was or a night decided on it."""
    lake, name = context.lake, context.prompt_set
    with _in_turn(context):
        outcome = _cut(context)
        version = outcome.outputs["version"]
        if not lake.rows(DECIDED_ON, {"prompt_set": name, "version": version}):
            promote(lake, name, version, actor=RULE, reason="newly cut", run_id=context.run_id)
    return outcome


def cut_version(context: Context) -> Outcome:
    """Decide on every problem, write the decisions that changed, and a new version where the content did: which version
    is current stays as it is."""
    with _in_turn(context):
        return _cut(context)


def _in_turn(context: Context) -> AbstractContextManager[None]:
    """One cut of a set at a time: two would give their versions the same number."""
    return context.lake.in_turn(turn_of(context.prompt_set))


def _cut(context: Context) -> Outcome:
    recipe = load_recipe(context.home, context.prompt_set).in_force(context.profile)
    sources = set_sources(context, recipe)
    difficulty, guessability = require_outcome(DIFFICULTY, context), require_outcome(GUESSABILITY, context)
    checked = require_outcome(REFERENCE_CHECKS, context).outputs
    asked = {"rated": difficulty.outputs, "guessed": guessability.outputs}
    made_by = {f"{did}_by": outputs["checkpoint"] for did, outputs in asked.items()}
    made_by |= {f"{did}_in": outputs["template"] for did, outputs in asked.items()}
    bases = _bases(context)
    made_again = [in_force(context.lake, context.profile.name, base) for base in bases]
    made, members = select(context.lake, recipe, sources, made_by, made_again)
    judged = made["judged"]
    record_query(
        context.lake,
        DECISIONS,
        {
            "prompt_set": recipe.name,
            "kept": KEPT_CODES,
            "seed": recipe.seed,
        },
        stages=["difficulty", "guessability", "selection"],
        parameters=rules_of(recipe),
        actor=RULE,
        run_id=context.run_id,
        **made,
    )
    named = context.lake.query_digest(MEMBERS, members.asked, **members.tables)
    funnel = funnel_counts(context.lake, sources, made)
    manifest = {
        "recipe": recipe.model_dump(),
        "profile": context.profile.settings(),
        "checkpoint": difficulty.outputs["checkpoint"],
        "checkpoints": context.lake.rows(CHECKPOINTS, judged=judged),
        "estimates": {base.kind: {"profile": context.profile.name, "base": base.name} for base in bases},
        "template": {"difficulty": difficulty.outputs["template"], "guessability": guessability.outputs["template"]},
        "answers_until": {
            DIFFICULTY.name: difficulty.outputs.get("until"),
            REFERENCE_CHECKS.name: checked.get("until"),
        },
        "inputs": {name: context.lake.version(tables.TABLES[name]) for name in INPUTS},
        "code": RULE,
        "stage_code": {stage.name: code_version(stage.code) for stage in (*RECOMPUTED, RL_PROMPT_SET)},
        "sources": sources,
        "corpus_sources": source_names(context),
        "evaluation_sets": evaluation_set_names(context),
        "funnel": funnel,
        "digest": named,
    }
    (count,) = context.lake.rows(COUNTED, **made)
    version = _write_version(context, members, count["size"], named, manifest)
    buckets = context.lake.rows(BUCKETS, **made)
    return Outcome(
        data_version=named,
        figures={
            "size": count["size"],
            "version": version,
            "mean_pass_rate": count["mean_pass_rate"],
            **{f"{row['bucket']}_problems": row["problems"] for row in buckets},
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
    "rich_reasoning",
    "validated_suites",
    "tags",
    "samples",
    "difficulty",
    "guessability",
    "reference_checks",
    "people",
    "evaluation_problems",
    "estimates",
)
RECOMPUTED = (DUPLICATES, EVALUABILITY, CONTAMINATION, DIFFICULTY, REFERENCE_CHECKS, GUESSABILITY)
"""The stages behind a version that follow from stored texts and samples alone; the code of each stands in its manifest."""
KEPT_CODES = sorted(map(str, KEPT))
CHOSEN = f"(select * from chosen where reason = '{Reason.SELECTED}') join judged using (problem_id)"
COUNTED = f"select count(*) as size, round(avg(pass_rate), 4) as mean_pass_rate from {CHOSEN}"
BUCKETS = f"select bucket, count(*) as problems from {CHOSEN} group by 1 order by 2 desc, 1"
CHECKPOINTS = """
    select 'difficulty' as stage, rated_by as checkpoint, count(*) as problems from judged where n > 0 group by 2
    union all
    select 'guessability', guessed_by, count(*) from judged where passed group by 2 order by 1, 3 desc, 2
"""
"""How many problems rest on which checkpoint: on several, where nights have asked newer ones."""


@dataclass(frozen=True)
class Members:
    """A version's rows as a query: what `MEMBERS` is asked with, and the tables that it reads beside the lake's."""

    asked: dict[str, Any]
    tables: dict[str, pa.Table]


def _corrected(lake: Lake) -> pa.Table:
    answers = corrected_answers(lake)
    columns = [pa.array(column, pa.string()) for column in (list(answers), list(answers.values()))]
    return pa.table(columns, names=["problem_id", "answer"])


def _write_version(context: Context, members: Members, size: int, named: str, manifest: dict[str, Any]) -> int:
    """The version's number: the newest one's where its digest is the same, else the next."""
    newest = context.lake.rows(NEWEST, [context.prompt_set])
    if newest and newest[0]["digest"] == named:
        return int(newest[0]["version"])
    version = int(newest[0]["version"]) + 1 if newest else 1
    reason = f"{context.prompt_set}@{version}"
    # A version counts once its row stands in prompt_set_versions; rows of a run that was cut off before are replaced.
    where = f"prompt_set = '{context.prompt_set}' and version = {version}"
    context.lake.replace_query(
        tables.PROMPT_SET,
        f"select m.*, {version} as version from ({MEMBERS}) m",
        members.asked,
        where=where,
        run_id=context.run_id,
        reason=reason,
        **members.tables,
    )
    context.lake.append(
        tables.PROMPT_SET_VERSIONS,
        [
            {
                "prompt_set": context.prompt_set,
                "version": version,
                "size": size,
                "digest": named,
                "manifest": as_json(manifest | {"rows_at": context.lake.version(tables.PROMPT_SET)}),
            }
        ],
        run_id=context.run_id,
        reason=reason,
    )
    return version


DECIDED_ON = """
    select version from promotions where prompt_set = $prompt_set and version = $version
    union all select version from version_checks where prompt_set = $prompt_set and version = $version
"""
"""Whether a version was ever made current or held back: one that a killed run cut was not."""
NEWEST = "select version, digest from prompt_set_versions where prompt_set = ? order by version desc limit 1"


def newest_version(lake: Lake, prompt_set: str) -> int | None:
    """The version that was cut last, current or not; None where there is none."""
    rows = lake.rows(NEWEST, [prompt_set])
    return int(rows[0]["version"]) if rows else None


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
        "people_decisions",
        "problem_tags",
        "evaluability",
        "contamination",
        "rich_reasoning",
        "difficulty",
        "reference_checks",
        "guessability",
    ),
    settings=_settings,
    code=(
        __name__,
        "kimi_pipeline.curation.choosing",
        "kimi_pipeline.curation.corrections",
        "kimi_pipeline.curation.decide",
        "kimi_pipeline.curation.estimates",
        "kimi_pipeline.curation.judged",
        "kimi_pipeline.curation.scope",
    ),
    tables=(tables.PROMPT_SET, tables.PROMPT_SET_VERSIONS, tables.LEDGER),
    kinds=("duckdb", "deltalake"),
    by_set=True,
)
