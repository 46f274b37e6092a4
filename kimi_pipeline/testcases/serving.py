"""Validated suites as the code reward takes them.

Belongs here: reading them from the lake, in the order of `suite_strength`. Does not belong here: the reward (`rewards/code.py`).
"""

from __future__ import annotations

from typing import Literal

from kimi_pipeline import tables
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.rewards.code import Suite, SuiteCase
from kimi_pipeline.testcases.coding_problem import CodingProblem
from kimi_pipeline.testcases.execution import limits_of


def load_suites(lake: Lake, profile: str, cases: Literal["reduced", "all"] = "reduced") -> dict[str, Suite]:
    """The kept problems' suites: the reduced cases in their order, then, for `all`, the others in theirs. A suite whose
    strength was not measured is given whole."""
    problems = {
        row["problem_id"]: CodingProblem.from_row(row) for row in _rows(lake, tables.CODING_PROBLEMS.name, profile)
    }
    strength = {row["problem_id"]: list(row["reduced"]) for row in _rows(lake, tables.SUITE_STRENGTH.name, profile)}
    kept = [row["problem_id"] for row in _rows(lake, tables.VALIDATED_SUITES.name, profile) if row["verdict"] == KEEP]
    query = """
        select s.problem_id, s.case_number, s.stratum, s.expected, c.input from suite_cases s
        join test_cases c using (profile, problem_id, case_number)
        where s.profile = ? and s.valid order by s.problem_id, s.case_number
    """
    by_problem: dict[str, dict[int, SuiteCase]] = {}
    for row in lake.rows(query, [profile]):
        one = SuiteCase(row["case_number"], row["input"], row["expected"], row["stratum"])
        by_problem.setdefault(row["problem_id"], {})[one.number] = one
    suites = {}
    for name in kept:
        there = by_problem[name]
        first = [number for number in strength.get(name, []) if number in there]
        others = [number for number in there if number not in first] if cases == "all" or not first else []
        chosen = tuple(there[number] for number in (*first, *others))
        suites[name] = Suite(name, chosen, problems[name].float_tolerance, limits_of(problems[name]))
    return suites


def _rows(lake: Lake, table: str, profile: str) -> list[dict]:
    return lake.rows(f"select * from {table} where profile = ?", [profile])
