"""The reward of every problem, coding problems by their suites from the lake.

Belongs here: reading suites in the order of `suite_strength`, opening a sandbox where a problem needs one. Does not belong
here: the rewards (`rewards/`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator
from typing import Any, Literal

from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.by_kind import CODE_KIND, CompositeReward
from kimi_pipeline.rewards.code import CodeReward, Suite, SuiteCase
from kimi_pipeline.rewards.contract import Reference, Reward
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.own_judges import own_judges
from kimi_pipeline.sandbox_door import open_sandbox
from sandbox import Limits

KEPT = f"""
    select v.problem_id, v.profile, v.limits, v.reason_code, p.float_tolerance, s.reduced, c.program as checker
    from validated_suites v
    left join coding_problems p on p.profile = v.profile and p.problem_id = v.problem_id
    left join suite_strength s on s.profile = v.profile and s.problem_id = v.problem_id
    left join output_checkers c on c.profile = v.profile and c.problem_id = v.problem_id and c.checker_id = v.checker_id
    where v.verdict = '{KEEP}' and (v.checker_id is null or c.program is not null)
      and ($every or v.problem_id in (select unnest($wanted)))
    qualify row_number() over (partition by v.problem_id order by v.profile <> $profile, v.profile) = 1
"""
CASES = """
    select s.problem_id, s.case_number, s.stratum, s.expected, c.input from suite_cases s
    left join test_cases c using (profile, problem_id, case_number, input_digest)
    semi join kept k on k.problem_id = s.problem_id and k.profile = s.profile
    where s.valid order by s.problem_id, s.case_number
"""


def load_suites(
    lake: Lake, profile: str, cases: Literal["reduced", "all"] = "reduced", wanted: Collection[str] | None = None
) -> dict[str, Suite]:
    """The kept suites (of the problems `wanted`; None: of all): the reduced cases in their order, then, for `all`, the others
    in theirs. A suite whose strength was not measured is given whole; where several profiles have one, this profile's counts.
    One whose inputs were made anew and not validated since is left out: its outputs are those of other inputs.
    """
    asked = {"every": wanted is None, "wanted": sorted(wanted or ()), "profile": profile}
    kept = lake.sql(KEPT, asked)
    by_problem: dict[str, dict[int, SuiteCase]] = {}
    outdated = set()
    for row in lake.rows(CASES, kept=kept):
        if row["input"] is None:
            outdated.add(row["problem_id"])
            continue
        one = SuiteCase(row["case_number"], row["input"], row["expected"], row["stratum"])
        by_problem.setdefault(row["problem_id"], {})[one.number] = one
    return {
        row["problem_id"]: _suite(row, by_problem[row["problem_id"]], cases)
        for row in kept.to_pylist()
        if row["problem_id"] in by_problem and row["problem_id"] not in outdated
    }


def _suite(row: dict[str, Any], there: dict[int, SuiteCase], cases: str) -> Suite:
    first = [number for number in row["reduced"] or () if number in there]
    others = [number for number in there if number not in first] if cases == "all" or not first else []
    chosen = tuple(there[number] for number in (*first, *others))
    limits = Limits(**json.loads(row["limits"]))
    return Suite(
        row["problem_id"],
        chosen,
        row["float_tolerance"],
        limits,
        together=row["reason_code"] == Reason.BY_CONSTRUCTION,
        checker=row["checker"],
    )


def code_reward(
    profile: Profile, lake: Lake, references: Collection[Reference], stack: contextlib.ExitStack
) -> CodeReward | None:
    """The reward of the coding problems among these; None where none of them has a suite. `stack` closes its sandbox.

    Raises UserError where no sandbox works: what a program is worth is never guessed.
    """
    wanted = {one.problem_id for one in references if one.answer_kind == CODE_KIND}
    suites = load_suites(lake, profile.name, wanted=wanted) if wanted else {}
    if not suites:
        return None
    return CodeReward(suites, stack.enter_context(open_sandbox(profile.sandbox)), parallel=profile.sandbox.pool_size)


@contextlib.contextmanager
def reward_for(profile: Profile, lake: Lake, references: Collection[Reference]) -> Iterator[Reward]:
    """The rules' reward of these problems, with test cases where one of them is a coding problem, and the judges of kinds that
    have one of their own."""
    own = own_judges(lake, references)
    with contextlib.ExitStack() as stack:
        if not own and not any(one.answer_kind == CODE_KIND for one in references):
            yield MathReward()
        else:
            yield CompositeReward(MathReward(), code=code_reward(profile, lake, references, stack), own=own)
