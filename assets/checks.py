"""Checks: where one that blocks fails, no stage after its asset runs, so that nothing is trained on a broken set.

Belongs here: invariants of stored tables, cheap enough for every run (SQL over the lake). Does not belong here: how
good a result is (figures), or a stage's own gates (a stage that can't go on raises).
(No future annotations here: Dagster reads those of the check function as types.)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.work import refusals_as_failures, stage_context
from kimi_pipeline import tables
from kimi_pipeline.audit.reward_watch import with_responses
from kimi_pipeline.curation.people import KEPT_BY_PEOPLE
from kimi_pipeline.ledger import IN_FORCE, REFUSE
from kimi_pipeline.profiles import Profile
from kimi_pipeline.stages import Context
from resources import ComputeResource, LakeResource, ProfileResource, SandboxResource

EXAMPLES = 5
EXCERPT = 80  # characters of a response

IN_SET = """
    select * from prompt_set where prompt_set = $1
    and version = (select max(version) from prompt_set_versions where prompt_set = $1)
"""
"""The newest version of the set; the set's name is the query's one parameter."""

BAD_RATE = "pass_rate is not null and not (pass_rate between 0 and 1)"  # true of NaN as well


@dataclass(frozen=True)
class Rule:
    """An invariant of an asset: `offenders` lists what breaks it (in words), so none means that it holds. One that does not
    block warns."""

    asset: str
    name: str
    description: str
    offenders: Callable[[Context], list[str]]
    blocking: bool = True


def _sql(query: str) -> Callable[[Context], list[str]]:
    """Offenders as a query with one column; `$1` is the prompt set."""

    def offenders(context: Context) -> list[str]:
        parameters = [context.prompt_set] if "$1" in query else []
        return [str(next(iter(row.values()))) for row in context.lake.rows(query, parameters)]

    return offenders


def _other_columns(context: Context) -> list[str]:
    """Columns of `problems` that are missing, added, or of another type than declared."""
    if not context.lake.exists(tables.PROBLEMS):
        return ["the table does not exist"]
    declared = {field.name: field.type for field in tables.PROBLEMS.schema}
    dataset = context.lake.delta(tables.PROBLEMS).to_pyarrow_dataset(as_large_types=False)
    stored = {field.name: field.type for field in dataset.schema}
    return sorted(
        f"{name}: stored {stored.get(name, 'nothing')}, declared {declared.get(name, 'nothing')}"
        for name in declared.keys() | stored.keys()
        if declared.get(name) != stored.get(name)
    )


def _empty_set(context: Context) -> list[str]:
    found = context.lake.rows(f"select count(*) as n from ({IN_SET})", [context.prompt_set])
    return [] if found[0]["n"] else ["no problem passed; `kimi-pipeline funnel` shows where they went"]


POLICY = """
    select json_extract_string(outputs, '$.policy') as policy from stages where stage = 'rl_checkpoint' and partition = $1
    order by created_at desc limit 1
"""
"""The run that the set's checkpoint came out of."""


def _reward_alarms(context: Context) -> list[str]:
    """The alarms of the run, the first of each signal, with responses that it speaks of."""
    run = context.lake.rows(POLICY, [context.prompt_set])
    rows = context.lake.rows(
        "select * from reward_watch where alarm and policy = ? "
        "qualify row_number() over (partition by signal order by iteration) = 1 order by iteration, signal",
        [run[0]["policy"] if run else None],
    )
    found = []
    for row in with_responses(context.lake, rows):
        said = [" ".join((one["text"] or "").split())[:EXCERPT] for one in row["responses"]]
        line = f"{row['signal']} in iteration {row['iteration']}: {row['hits']} of {row['n']} {row['means']}"
        found.append(f"{line}: {' | '.join(said)}".replace("`", "'"))
    return found


RULES = (
    Rule("corpus", "declared_columns", "The table has the declared columns and types", _other_columns),
    Rule(
        "corpus",
        "complete_problems",
        "Every problem has an id, a source and a prompt",
        _sql(
            "select source || ':' || source_row from problems "
            "where problem_id is null or source is null or prompt is null or trim(prompt) = ''"
        ),
    ),
    Rule(
        "difficulty",
        "rates_in_range",
        "Pass rates lie in [0, 1] and inside their interval",
        _sql(
            f"select problem_id from difficulty where {BAD_RATE} "
            "or (pass_rate is not null and not (low <= pass_rate + 1e-9 and pass_rate <= high + 1e-9))"
        ),
    ),
    Rule("rl_prompt_set", "not_empty", "The newest version of the set holds a problem", _empty_set),
    Rule(
        "rl_prompt_set",
        "set_rates_in_range",
        "Pass rates in the set lie in [0, 1]",
        _sql(f"select problem_id from ({IN_SET}) where {BAD_RATE}"),
    ),
    Rule(
        "rl_prompt_set",
        "no_evaluation_problem",
        "No problem of an evaluation set is in the set",
        _sql(f"select problem_id from ({IN_SET}) semi join evaluation_problems using (problem_id)"),
    ),
    Rule(
        "rl_prompt_set",
        "no_refused_verdict",
        "No problem that a rule on its text refuses is in the set, unless a person keeps it",
        _sql(
            f"select problem_id from ({IN_SET}) where problem_id in "
            f"(select problem_id from evaluability where verdict = '{REFUSE}' "
            f"union all select problem_id from contamination where verdict = '{REFUSE}' "
            f"union all select problem_id from rich_reasoning where verdict = '{REFUSE}') "
            f"and problem_id not in {KEPT_BY_PEOPLE}"
        ),
    ),
    Rule(
        "decision_ledger",
        "no_refused_problem",
        "No problem in the set has a refusal in force in the ledger, for every set or for this one",
        # A refused source row (an exact duplicate) says nothing against the problem that another row stands for.
        _sql(
            f"select problem_id from ({IN_SET}) semi join (select problem_id from ({IN_FORCE}) "
            f"where verdict = '{REFUSE}' and subject = '' and prompt_set in ('', $1)) using (problem_id) "
            f"anti join {KEPT_BY_PEOPLE} using (problem_id)"
        ),
    ),
    Rule(
        "rl_checkpoint",
        "reward_not_hacked",
        "The watch over the reward raised no alarm in this run (rl.watch = stop would have ended it)",
        _reward_alarms,
        blocking=False,
    ),
)


def lineage_checks(stages: Iterable[str], defaults: Profile) -> list[dg.AssetChecksDefinition]:
    """The checks of the assets there are."""
    names = set(stages)
    return [_check(rule, defaults) for rule in RULES if rule.asset in names]


def _check(rule: Rule, defaults: Profile) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=rule.asset, name=rule.name, description=rule.description, blocking=rule.blocking)
    def check(
        context: dg.AssetCheckExecutionContext,
        profile: ProfileResource,
        lake: LakeResource,
        compute: ComputeResource,
        sandbox: SandboxResource,
    ) -> dg.AssetCheckResult:
        with refusals_as_failures():
            work = stage_context(context, profile, lake, compute, sandbox, defaults=defaults)
            offenders = rule.offenders(work)
        return _result(rule, work, offenders)

    return check


def _result(rule: Rule, context: Context, offenders: list[str]) -> dg.AssetCheckResult:
    description = rule.description
    metadata: dict[str, Any] = {"offenders": len(offenders), "prompt set": context.prompt_set}
    if offenders:
        examples = offenders[:EXAMPLES]
        metadata["examples"] = dg.MetadataValue.md("\n".join(f"- `{each}`" for each in examples))
        more = f" and {len(offenders) - EXAMPLES} more" if len(offenders) > EXAMPLES else ""
        description += f"; not so: {', '.join(examples)}{more}"
    return dg.AssetCheckResult(
        passed=not offenders,
        severity=dg.AssetCheckSeverity.ERROR if rule.blocking else dg.AssetCheckSeverity.WARN,  # only an error blocks
        description=description,
        metadata=metadata,
    )
