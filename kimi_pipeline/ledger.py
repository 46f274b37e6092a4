"""The ledger: append-only decisions, each with its reason, evidence, parameters and actor.

Belongs here: the decision type and its columns, and writing those that changed. Does not belong here: any rule;
reading for people (`audit/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.reasons import Reason
from kimi_pipeline.tables import LEDGER
from kimi_pipeline.tables.declare import as_json

if TYPE_CHECKING:
    import pyarrow as pa

KEEP, REFUSE = "keep", "refuse"
PERSON = "person:"  # how the actor of a person's decision begins; a rule's is its name and version
TEST_SUITES = "test_suites"  # the branch of coding problems, whose stages each have their own decisions
FUNNEL = (
    "ingest",
    "duplicates",
    "people",
    "evaluability",
    "contamination",
    "rich_reasoning",
    TEST_SUITES,
    "reference_checks",
    "difficulty",
    "guessability",
    "selection",
)
"""The deciding stages in the order in which a problem meets them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on a problem (or, with `subject` = `source:row`, on a source row).

    `evidence` holds references and numbers, never a text. `prompt_set` is empty where it holds for every set.
    """

    stage: str
    problem_id: str
    verdict: str
    reason: Reason
    evidence: dict[str, Any] = field(default_factory=dict)
    prompt_set: str = ""
    subject: str = ""
    checkpoint: str = ""


COLUMNS = LEDGER.names[:8]
"""What a decision says: prompt_set, stage, problem_id, subject, verdict, reason_code, evidence (JSON), checkpoint."""


def record(lake: Lake, decisions: Iterable[Decision] | pa.Table, *, parameters: Any, actor: str, run_id: str) -> int:
    """Append the decisions that differ from those in force; returns how many those were.

    A decision is unchanged when verdict, reason, evidence and checkpoint are. Actors are rules (`evaluability@1`) or
    people. A table has text columns of `COLUMNS`, of which stage, verdict and reason_code must be there; one that is
    left out is empty in every row (evidence: `{}`).
    """
    import pyarrow as pa

    made = decisions if isinstance(decisions, pa.Table) else _table(decisions)
    for name in COLUMNS:
        if name not in made.column_names:
            made = made.append_column(name, pa.repeat("{}" if name == "evidence" else "", made.num_rows))
    query = f"select {', '.join(COLUMNS)} from made"
    if not made.num_rows:
        return 0
    stages = made.column("stage").unique().to_pylist()
    return record_query(lake, query, stages=stages, parameters=parameters, actor=actor, run_id=run_id, made=made)


def record_query(
    lake: Lake,
    query: str,
    values: Mapping[str, Any] | None = None,
    *,
    stages: Sequence[str],
    parameters: Any,
    actor: str,
    run_id: str,
    **extra: pa.Table,
) -> int:
    """`record` for decisions that a query over the lake (and `extra` tables) gives, all columns of `COLUMNS`.

    Nothing is held in memory: a million decisions go from table to table. `stages` names the stages that decide, and
    `values` the query's parameters (`$name`).
    """
    named = ", ".join(f"'{stage}'" for stage in stages)
    same = " and ".join(f"made.{name} = in_force.{name}" for name in COLUMNS)
    listed = ", ".join(f"made.{name}" for name in COLUMNS)
    return lake.append_query(
        LEDGER,
        f"""
        with in_force as (select * from ({IN_FORCE}) where stage in ({named}))
        select {listed}, $parameters as parameters, $actor as actor
        from ({query}) made anti join in_force on {same}
        """,
        {**(values or {}), "parameters": digest(parameters), "actor": actor},
        run_id=run_id,
        reason=f"decisions of {actor}",
        **extra,
    )


def _table(decisions: Iterable[Decision]) -> pa.Table:
    import pyarrow as pa

    rows = [
        (d.prompt_set, d.stage, d.problem_id, d.subject, d.verdict, str(d.reason), as_json(d.evidence), d.checkpoint)
        for d in decisions
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=COLUMNS)


IN_FORCE = """
    select * from ledger
    qualify row_number() over (partition by prompt_set, stage, problem_id, subject order by created_at desc) = 1
"""
"""The decisions in force: the newest of each key."""
