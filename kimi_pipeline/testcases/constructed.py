"""Suites of built-in families whose right outputs are known from how their problems were made: nothing has to agree on them.

Belongs here: those suites as rows of the same tables as validated ones. Does not belong here: what a family's programs
print (`corpora/families/`), running programs.

They hold for the corpus' problems and for the held-out ones that checkpoints are evaluated on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.builtin import EVALUATION_SET
from kimi_pipeline.corpora.families import programs
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.together import LIMITS
from kimi_pipeline.stages import Context

MAKER = f"{programs.PROGRAMS.name}@1"
"""The `generator_id` of their cases."""

PROBLEMS = """
    select problem_id, any_value(prompt) as prompt from (
        select problem_id, prompt from problems where labels['family'] = $family
        union all
        select problem_id, prompt from evaluation_problems where evaluation_set = $set and labels['family'] = $family
    ) where prompt is not null group by 1 order by 1
"""

Rows = list[dict[str, Any]]


def constructed(context: Context) -> tuple[Rows, Rows, Rows]:
    """Rows of `validated_suites`, `suite_cases` and `test_cases` for the problems of such families."""
    asked = {"family": programs.PROGRAMS.name, "set": EVALUATION_SET}
    made = [suite(row["problem_id"], row["prompt"]) for row in context.lake.rows(PROBLEMS, asked)]
    return (
        [one for one, _, _ in made],
        [row for _, rows, _ in made for row in rows],
        [r for _, _, rows in made for r in rows],
    )


def suite(problem_id: str, prompt: str) -> tuple[dict[str, Any], Rows, Rows]:
    """One problem's row and its cases' rows."""
    steps = programs.steps_of(prompt)
    words = programs.hidden_words(problem_id)
    inputs = [f"{word}\n".encode() for word in words]
    case: Rows = [
        {"problem_id": problem_id, "case_number": n, "stratum": "random", "input_digest": digest(data)}
        for n, data in enumerate(inputs, 1)
    ]
    expected = [programs.expected(steps, word) for word in words]
    suite_cases = [
        row
        | {
            "valid": True,
            "reason_code": str(Reason.BY_CONSTRUCTION),
            "expected": output,
            "agreeing": 0,
            "ended_well": 0,
            "distinct_outputs": 0,
        }
        for row, output in zip(case, expected, strict=True)
    ]
    test_cases = [
        row
        | {
            "generator_id": MAKER,
            "setting": MAKER,
            "number": number,
            "input": data,
            "reason_code": str(Reason.GENERATED),
            "detail": "",
        }
        for number, (row, data) in enumerate(zip(case, inputs, strict=True))
    ]
    return _row(problem_id, len(words)), suite_cases, test_cases


def _row(problem_id: str, cases: int) -> dict[str, Any]:
    return {
        "problem_id": problem_id,
        "verdict": KEEP,
        "reason_code": str(Reason.BY_CONSTRUCTION),
        "evidence": "",
        "generator_id": MAKER,
        "setting": MAKER,
        "drawn": [],
        "passing": [],
        "cases": cases,
        "valid_cases": cases,
        "mean_agreement": 1.0,
        "thresholds": "{}",
        "limits": json.dumps(LIMITS.as_dict()),
        "image": "",
        "inputs_checked": True,
        "checker_id": None,
    }


def write_inputs(context: Context, rows: Sequence[dict[str, Any]]) -> None:
    """Their inputs, in the place of those of an earlier run."""
    context.lake.replace(
        tables.TEST_CASES,
        [{"profile": context.profile.name} | row for row in rows],
        where=f"profile = '{context.profile.name}' and generator_id = '{MAKER}'",
        run_id=context.run_id,
        reason="inputs known by construction",
    )
