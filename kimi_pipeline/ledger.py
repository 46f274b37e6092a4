"""The ledger: append-only decisions, each with its reason, evidence, parameters and actor.

Belongs here: the decision type, and writing those that changed. Does not belong here: any rule; reading for people
(`audit/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake, as_json
from kimi_pipeline.reasons import Reason
from kimi_pipeline.tables import LEDGER

KEEP, REFUSE = "keep", "refuse"
FUNNEL = ("ingest", "duplicates", "evaluability", "contamination", "difficulty", "guessability", "selection")
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


def record(lake: Lake, decisions: Iterable[Decision], *, parameters: Any, actor: str, run_id: str) -> dict[str, int]:
    """Append the decisions that differ from those in force; returns how many were made and how many were new.

    A decision is unchanged when verdict, reason, evidence and checkpoint are. Actors are rules (`evaluability@1`) or
    people.
    """
    named = digest(parameters)
    rows = [
        {
            "prompt_set": decision.prompt_set,
            "stage": decision.stage,
            "problem_id": decision.problem_id,
            "subject": decision.subject,
            "verdict": decision.verdict,
            "reason_code": str(decision.reason),
            "evidence": as_json(decision.evidence),
            "checkpoint": decision.checkpoint,
            "parameters": named,
            "actor": actor,
        }
        for decision in decisions
    ]
    made = pa.Table.from_pylist(rows, schema=pa.schema([(n, pa.string()) for n in LEDGER.schema.names[:10]]))
    changed = lake.sql(
        f"""
        with in_force as ({IN_FORCE})
        select made.* from made anti join in_force on
            made.prompt_set = in_force.prompt_set and made.stage = in_force.stage
            and made.problem_id = in_force.problem_id and made.subject = in_force.subject
            and made.verdict = in_force.verdict and made.reason_code = in_force.reason_code
            and made.evidence = in_force.evidence and made.checkpoint = in_force.checkpoint
        """,
        made=made,
    )
    lake.append(LEDGER, changed, run_id=run_id, reason=f"decisions of {actor}")
    return {"decisions": len(rows), "changed": changed.num_rows}


IN_FORCE = """
    select * from ledger
    qualify row_number() over (partition by prompt_set, stage, problem_id, subject order by created_at desc) = 1
"""
"""The decisions in force: the newest of each key."""
