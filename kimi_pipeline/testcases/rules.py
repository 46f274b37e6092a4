"""The rules of a validated suite [2.3.5], as pure functions of runs.

Belongs here: the draw of submissions, agreement on a case, validity of a suite, the scaled thresholds of problems with
few submissions, what a checker must show that judges outputs. Does not belong here: running anything, storing anything.

The report samples 10 ground-truth submissions "for each test case". They are drawn once a problem here: the rule that 9 of
10 submissions pass every selected case counts submissions over all cases, so all cases must have seen the same ten.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.checker import ACCEPTED, FAILED, REFUSED
from kimi_pipeline.rewards.outputs import comparison

ENDED_WELL = "ok"
COMPILE_ERROR = "compile_error"
NOT_ACCEPTED = (REFUSED, FAILED)
"""Outcomes of a run that ended well with an output that a checker does not accept."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Of `submissions` drawn ones, `agree` must give the same output for a case to be valid; `valid_cases` valid ones keep
    a generator; `passing` submissions must pass every valid case. Defaults: the report's."""

    submissions: int = 10
    agree: int = 7
    valid_cases: int = 40
    passing: int = 9

    def scaled(self, drawn: int) -> Thresholds:
        """The same shares of fewer submissions, rounded up; a majority at least, so that two outputs can't both agree."""
        if drawn >= self.submissions:
            return self
        share = drawn / self.submissions
        agree = max(math.ceil(self.agree * share - 1e-9), drawn // 2 + 1)
        return replace(self, submissions=drawn, agree=agree, passing=math.ceil(self.passing * share - 1e-9))


@dataclass(frozen=True, slots=True)
class Run:
    """One submission on one input. `output` is normalised; None where it was not UTF-8 or the run did not end well.

    Where a checker has judged the output, that is ACCEPTED, or None with one of NOT_ACCEPTED as outcome and the checker's
    word in `why`: every accepted output is the same, so the rules below hold as they are.
    """

    outcome: str
    output: str | None
    why: str = ""

    @property
    def ended_well(self) -> bool:
        return self.outcome == ENDED_WELL and self.output is not None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the submissions' runs say of one case. `expected` is the agreed output (None: not valid)."""

    valid: bool
    expected: str | None
    agreeing: int
    ended_well: int
    distinct: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class SuiteVerdict:
    """What becomes of a problem: `passing` are the submissions that give the expected output on every valid case. `why`
    shows, of a checker that is refused, what speaks against it."""

    verdict: str
    reason: Reason
    valid_cases: int
    passing: tuple[str, ...]
    why: str = ""


def draw_submissions(problem_id: str, submissions: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` of the accepted submissions' ids, by seed and problem alone: the order they are given in does not count."""
    ordered = sorted(submissions)
    return random.Random(digest([seed, "submissions", problem_id])).sample(ordered, min(count, len(ordered)))


def agreement(runs: Sequence[Run], agree: int, tolerance: float | None = None) -> Agreement:
    """Whether at least `agree` of the runs ended well with the same output.

    Crashing alike is no agreement. Two outputs with equally many runs are a tie, which is not valid. With a tolerance
    "the same" is not transitive: each output counts the runs that match it, and the best one must have no rival that
    it does not match itself.
    """
    outputs = Counter(run.output for run in runs if run.ended_well and run.output is not None)
    ended = outputs.total()
    refused = sum(run.outcome in NOT_ACCEPTED for run in runs)
    too_few = Reason.CHECKER_TOO_STRICT if ended + refused >= agree else Reason.SUBMISSIONS_FAIL
    if not outputs:
        return Agreement(False, None, 0, 0, 0, too_few)
    same = comparison(tolerance)
    votes = {one: sum(n for other, n in outputs.items() if same(one, other)) for one in outputs}
    most = max(votes.values())
    best = sorted((one for one in votes if votes[one] == most), key=lambda one: (-outputs[one], one))
    found = Agreement(False, None, most, ended, len(outputs), Reason.VALID_CASE)
    if most < agree:
        why = Reason.SUBMISSIONS_DISAGREE if ended >= agree else too_few
        return replace(found, reason=why)
    if any(not same(best[0], other) for other in best[1:]):
        return replace(found, reason=Reason.OUTPUTS_TIE)
    return replace(found, valid=True, expected=best[0])


def passes_all(runs: Mapping[str, Run], expected: Mapping[str, str], tolerance: float | None = None) -> bool:
    """Whether a submission's runs (by case) give the expected output on every case; a run that is missing is a failure."""
    same = comparison(tolerance)
    for case, wanted in expected.items():
        run = runs.get(case)
        if run is None or not run.ended_well or run.output is None or not same(wanted, run.output):
            return False
    return True


def judge_suite(
    agreements: Mapping[str, Agreement],
    runs: Mapping[str, Mapping[str, Run]],
    thresholds: Thresholds,
    tolerance: float | None = None,
) -> SuiteVerdict:
    """The verdict on a problem from its cases' agreements and its drawn submissions' runs (submission -> case -> run).

    Fewer than `valid_cases` valid cases: refused for what most of the others lack, or because fewer submissions compile than
    must agree. Else kept where at least `passing`
    submissions pass every valid case: counted a submission over all cases, never a case.
    """
    expected = {case: one.expected for case, one in agreements.items() if one.expected is not None}
    passing = tuple(sorted(name for name, own in runs.items() if passes_all(own, expected, tolerance)))
    if len(expected) < thresholds.valid_cases:
        compiled = sum(any(run.outcome != COMPILE_ERROR for run in own.values()) for own in runs.values())
        if compiled < thresholds.agree:
            return SuiteVerdict(REFUSE, Reason.NOT_COMPILED, len(expected), passing if expected else ())
        reasons = Counter(one.reason for one in agreements.values() if not one.valid)
        why = max(reasons, key=lambda reason: (reasons[reason], reason)) if reasons else Reason.TOO_FEW_CASES
        return SuiteVerdict(REFUSE, why, len(expected), passing if expected else ())
    if len(passing) < thresholds.passing:
        return SuiteVerdict(REFUSE, Reason.TOO_FEW_PASS, len(expected), passing)
    return SuiteVerdict(KEEP, Reason.VALIDATED, len(expected), passing)


def judge_with_checker(
    agreements: Mapping[str, Agreement],
    runs: Mapping[str, Mapping[str, Run]],
    known_wrong: Mapping[str, Mapping[str, Run]],
    nothing: Mapping[str, Run],
    thresholds: Thresholds,
) -> SuiteVerdict:
    """The verdict on a problem whose runs a checker has judged: the suite's rules, then what the checker must show.

    It accepts the ground truths: where the suite would be kept if every output of a drawn submission were accepted, its
    refusal is the checker's. It rejects known wrong outputs: the empty one (`nothing`, by case) on every valid case, some
    output of each `known_wrong` submission (-> case -> run); one that never ends well shows nothing, and without any
    refused output the checker is unproven.
    """
    found = judge_suite(agreements, runs, thresholds)
    if found.verdict == REFUSE:
        reason, why = _against(runs, agreements, thresholds)
        return replace(found, reason=reason, why=why)
    valid = {case: ACCEPTED for case, one in agreements.items() if one.valid}
    empty = next((case for case in valid if case not in nothing or nothing[case].output == ACCEPTED), None)
    if empty is not None:
        return replace(found, verdict=REFUSE, reason=Reason.CHECKER_TOO_LAX, why="it accepts an empty output")
    missed = next((name for name, own in known_wrong.items() if passes_all(own, valid)), None)
    if missed is not None:
        why = f"it accepts all outputs of {missed}"
        return replace(found, verdict=REFUSE, reason=Reason.CHECKER_TOO_LAX, why=why)
    if not any(own[case].outcome in NOT_ACCEPTED for own in known_wrong.values() for case in valid if case in own):
        return replace(found, verdict=REFUSE, reason=Reason.CHECKER_UNPROVEN)
    return replace(found, reason=Reason.READMITTED)


def _against(
    runs: Mapping[str, Mapping[str, Run]], agreements: Mapping[str, Agreement], thresholds: Thresholds
) -> tuple[Reason, str]:
    """Reason and word of a refusal: the submissions' own, or the checker's."""
    ended = {
        name: {case: Run(ENDED_WELL, ACCEPTED) if one.outcome in NOT_ACCEPTED else one for case, one in own.items()}
        for name, own in runs.items()
    }
    agreed = {case: agreement([own[case] for own in ended.values()], thresholds.agree) for case in agreements}
    otherwise = judge_suite(agreed, ended, thresholds)
    if otherwise.verdict == REFUSE:
        return otherwise.reason, ""
    not_accepted = [one for own in runs.values() for one in own.values() if one.outcome in NOT_ACCEPTED]
    failed = [one for one in not_accepted if one.outcome == FAILED]
    if 2 * len(failed) > len(not_accepted):
        return Reason.CHECKER_FAILED, failed[0].why
    return Reason.CHECKER_TOO_STRICT, next((one.why for one in not_accepted if one.outcome == REFUSED and one.why), "")
