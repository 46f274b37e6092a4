"""The stage `suite_strength`: what the report does not measure. Held-out right, wrong and mutated programs against each suite.

Belongs here: which programs run, what is counted, the reduced suite. Does not belong here: mutating (`mutants.py`), choosing
cases (`subset.py`).

A mutant that no case rejects is run on further valid inputs beside its origin: one that none of them tells apart counts as
equivalent. The reduced cases are chosen on the wrong programs and the first half of the mutants; the other half, `fresh`,
had no part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WEAK, WRONG, CodingProblem, Program
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.outputs import comparison
from kimi_pipeline.sandbox_door import runs_in
from kimi_pipeline.stages import Context, Outcome, Stage
from kimi_pipeline.testcases.cases import generator_of
from kimi_pipeline.testcases.execution import Asked, Runs
from kimi_pipeline.testcases.generating import Drawn, cyaron_folder, draw_each, shares
from kimi_pipeline.testcases.mutants import Mutant, draw_mutants
from kimi_pipeline.testcases.rules import Run
from kimi_pipeline.testcases.scope import (
    drawn_of,
    kept_problems,
    profile_rows,
    replace_rows,
    runs_of,
    sandbox_or_reason,
    thresholds_of,
    usable_cases,
)
from kimi_pipeline.testcases.subset import smallest_subset
from sandbox import Sandbox

FURTHER_SEED = 1_000_003  # added to the profile's seed: inputs that no suite has seen
REJECTED, EQUIVALENT, SURVIVED = "rejected", "equivalent", "survived"


@dataclass
class Measured:
    """One suite and all that was run against it. `failed` is program -> the case numbers that reject it."""

    problem: CodingProblem
    numbers: Mapping[str, int]  # input digest -> case number
    inputs: Mapping[str, bytes]
    expected: Mapping[str, str]
    drawn: Sequence[Program]
    held_out: Sequence[Program]
    wrong: Sequence[Program]
    weak: Sequence[Program]
    mutants: Sequence[Mutant]
    failed: dict[str, set[int]] = field(default_factory=dict)
    fates: dict[str, str] = field(default_factory=dict)

    def programs(self) -> list[Program]:
        return [*self.held_out, *self.wrong, *self.weak, *(one.program for one in self.mutants)]

    def rejected(self, programs: Iterable[Program], cases: set[int] | None = None) -> int:
        """How many of the programs at least one case (of `cases`) rejects."""
        return sum(
            bool(self.failed[one.submission_id] if cases is None else self.failed[one.submission_id] & cases)
            for one in programs
        )


def rejecting(runs: Mapping[str, Run], expected: Mapping[str, str], tolerance: float | None) -> set[str]:
    """The inputs whose run is not the expected output. Where a slow program was stopped early, the inputs after its first
    time limit have no run and say nothing."""
    same = comparison(tolerance)
    return {
        name
        for name, run in runs.items()
        if name in expected and not (run.ended_well and run.output is not None and same(expected[name], run.output))
    }


def measure(context: Context) -> Outcome:
    kept = {row["problem_id"] for row in profile_rows(context, tables.VALIDATED_SUITES) if row["verdict"] == KEEP}
    suites = [_measured(context, one) for one in kept_problems(context) if one.problem_id in kept]
    if not suites:
        replace_rows(context, tables.SUITE_STRENGTH, [], "suite strength")
        return Outcome(data_version="none", figures={"suites": 0})
    with sandbox_or_reason(context) as box:
        if isinstance(box, str):
            return Outcome(
                data_version="no sandbox", figures={"suites": 0, str(Reason.NO_SANDBOX): len(suites), "why": box}
            )
        runs = runs_of(context, box)
        runs.run(
            [
                Asked(suite.problem, program, suite.inputs, "strength", stop_when_slow=True)
                for suite in suites
                for program in suite.programs()
            ]
        )
        for suite in suites:
            found = runs.of(suite.problem, suite.programs())
            for name, own in found.items():
                bad = rejecting(own, suite.expected, suite.problem.float_tolerance)
                suite.failed[name] = {suite.numbers[one] for one in bad}
        _tell_survivors_apart(context, suites, runs)
        rows = [_row(context, suite, runs) for suite in suites]
    replace_rows(context, tables.SUITE_STRENGTH, rows, "suite strength")
    replace_rows(context, tables.MUTANTS, [row for suite in suites for row in _mutant_rows(suite)], "mutants")
    return Outcome(
        data_version=digest(rows),
        figures=_figures(rows, suites) | {"runs_done": runs.done, "runs_reused": runs.reused},
        preview=[
            {
                name: row[name]
                for name in ("problem_id", "wrong", "wrong_rejected", "mutants", "mutants_rejected", "reduced")
            }
            for row in rows[:8]
        ],
    )


def _measured(context: Context, problem: CodingProblem) -> Measured:
    rows = [
        row
        for row in profile_rows(context, tables.SUITE_CASES, "case_number")
        if row["problem_id"] == problem.problem_id and row["valid"]
    ]
    data = {case["input_digest"]: case["input"] for case in usable_cases(context)[problem.problem_id]}
    drawn = drawn_of(problem, thresholds_of(context), context.profile.seed)
    names = {one.submission_id for one in drawn}
    mutants = draw_mutants(drawn, context.profile.testcases.mutants, context.profile.seed, problem.problem_id)
    return Measured(
        problem,
        numbers={row["input_digest"]: row["case_number"] for row in rows},
        inputs={row["input_digest"]: data[row["input_digest"]] for row in rows},
        expected={row["input_digest"]: row["expected"] for row in rows},
        drawn=drawn,
        held_out=[one for one in problem.of_kind(ACCEPTED) if one.submission_id not in names],
        wrong=problem.of_kind(WRONG),
        weak=problem.of_kind(WEAK),
        mutants=mutants,
    )


def _tell_survivors_apart(context: Context, suites: Sequence[Measured], runs: Runs) -> None:
    """The fate of every mutant. Those that no case rejects are run on further inputs, beside the program they come from."""
    surviving: list[tuple[Measured, list[Mutant]]] = []
    for suite in suites:
        alive = []
        for one in suite.mutants:
            suite.fates[one.program.submission_id] = REJECTED
            if not suite.failed[one.program.submission_id]:
                alive.append(one)
        if alive:
            surviving.append((suite, alive))
    if not surviving:
        return
    further = _further(context, [suite.problem for suite, _ in surviving])
    asked = []
    for suite, alive in surviving:
        inputs = further[suite.problem.problem_id]
        origins = {one.origin for one in alive}
        beside = [program for program in suite.drawn if program.submission_id in origins]
        asked += [Asked(suite.problem, program, inputs, "equivalence", stop_when_slow=True) for program in beside]
        asked += [Asked(suite.problem, one.program, inputs, "equivalence", stop_when_slow=True) for one in alive]
    runs.run(asked)
    for suite, alive in surviving:
        inputs = further[suite.problem.problem_id]
        found = runs.of(suite.problem, [*suite.drawn, *(one.program for one in alive)])
        for one in alive:
            truth = {
                name: run.output for name, run in found[one.origin].items() if name in inputs and run.output is not None
            }
            told_apart = rejecting(found[one.program.submission_id], truth, suite.problem.float_tolerance)
            suite.fates[one.program.submission_id] = SURVIVED if told_apart else EQUIVALENT


def _further(context: Context, problems: Sequence[CodingProblem]) -> dict[str, dict[str, bytes]]:
    """Inputs that no suite has seen, by problem and digest."""
    chosen, generators = context.profile.testcases, generator_of(context)
    asked = [Drawn(one.problem_id, generators[one.problem_id]["program"], one.validator) for one in problems]
    found: dict[str, dict[str, bytes]] = {}
    with cyaron_folder() as folder, sandbox_or_reason(context, folder) as box:
        assert isinstance(box, Sandbox), "the sandbox has just worked"
        counts, seed = shares(chosen.further_inputs), context.profile.seed + FURTHER_SEED
        drawn = draw_each(box, asked, seed=seed, counts=counts, parallel=context.profile.sandbox.pool_size)
        for number, (one, cases) in enumerate(drawn, 1):
            inputs = [case.data for case in cases if case.usable and case.data is not None]
            found[one.problem_id] = {digest(data): data for data in inputs}
            context.say(f"  {len(inputs)} further inputs for problem {number} of {len(asked)} with surviving mutants")
    return found


def _row(context: Context, suite: Measured, runs: Runs) -> dict[str, Any]:
    live = [one for one in suite.mutants if suite.fates[one.program.submission_id] != EQUIVALENT]
    half = (len(suite.mutants) + 1) // 2
    fresh = [one for one in suite.mutants[half:] if one in live]
    chosen_on = [*suite.wrong, *suite.weak, *(one.program for one in suite.mutants[:half] if one in live)]
    kills: dict[int, set[str]] = {number: set() for number in suite.numbers.values()}
    for program in chosen_on:
        for number in suite.failed[program.submission_id]:
            kills[number].add(program.submission_id)
    seconds = {suite.numbers[n]: s for n, s in runs.seconds(suite.problem, suite.drawn).items() if n in suite.numbers}
    reduced = smallest_subset(kills, seconds, len(kills) // 3)
    cases = set(reduced)
    living = [one.program for one in live]
    return {
        "problem_id": suite.problem.problem_id,
        "held_out": len(suite.held_out),
        "held_out_accepted": len(suite.held_out) - suite.rejected(suite.held_out),
        "wrong": len(suite.wrong),
        "wrong_rejected": suite.rejected(suite.wrong),
        "weak": len(suite.weak),
        "weak_rejected": suite.rejected(suite.weak),
        "mutants": len(suite.mutants),
        "mutants_rejected": suite.rejected(living),
        "mutants_equivalent": len(suite.mutants) - len(live),
        "survivors": [
            *(one.label for one in (*suite.wrong, *suite.weak) if not suite.failed[one.submission_id]),
            *(one.change for one in live if not suite.failed[one.program.submission_id]),
        ],
        "reduced": reduced,
        "reduced_held_out_accepted": len(suite.held_out) - suite.rejected(suite.held_out, cases),
        "reduced_wrong_rejected": suite.rejected(suite.wrong, cases),
        "reduced_mutants_rejected": suite.rejected(living, cases),
        "fresh_mutants": len(fresh),
        "fresh_mutants_rejected": suite.rejected((one.program for one in fresh), cases),
        "further_inputs": context.profile.testcases.further_inputs,
    }


def _mutant_rows(suite: Measured) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": suite.problem.problem_id,
            "submission_id": one.program.submission_id,
            "origin": one.origin,
            "change": one.change,
            "program": one.program.source,
            "fate": suite.fates[one.program.submission_id],
            "killing_cases": len(suite.failed[one.program.submission_id]),
        }
        for one in suite.mutants
    ]


def _figures(rows: Sequence[Mapping[str, Any]], suites: Sequence[Measured]) -> dict[str, Any]:
    total = {name: sum(row[name] for row in rows) for name, value in rows[0].items() if isinstance(value, int)}
    live = total["mutants"] - total["mutants_equivalent"]

    def share(part: int, whole: int) -> float | None:
        return round(part / whole, 4) if whole else None

    return {
        "suites": len(rows),
        "held_out_accepted": share(total["held_out_accepted"], total["held_out"]),
        "wrong_rejected": share(total["wrong_rejected"], total["wrong"]),
        "mutants_rejected": share(total["mutants_rejected"], live),
        "weak_rejected": share(total["weak_rejected"], total["weak"]),
        "mutants": total["mutants"],
        "mutants_equivalent": total["mutants_equivalent"],
        "reduced_share_of_cases": share(sum(len(row["reduced"]) for row in rows), sum(len(s.numbers) for s in suites)),
        "reduced_held_out_accepted": share(total["reduced_held_out_accepted"], total["held_out"]),
        "reduced_wrong_rejected": share(total["reduced_wrong_rejected"], total["wrong"]),
        "reduced_mutants_rejected": share(total["reduced_mutants_rejected"], live),
        "reduced_fresh_mutants_rejected": share(total["fresh_mutants_rejected"], total["fresh_mutants"]),
    }


SUITE_STRENGTH = Stage(
    name="suite_strength",
    description="What each suite accepts and rejects, and the fewest cases with the same power",
    group="testcases",
    compute=measure,
    upstream=("coding_problems", "test_case_generators", "test_cases", "output_checkers", "validated_test_suites"),
    settings=lambda context: {
        "mutants": context.profile.testcases.mutants,
        "further_inputs": context.profile.testcases.further_inputs,
        "seed": context.profile.seed,
        "runs_in": runs_in(context.profile.sandbox),
    },
    code=(__name__, "kimi_pipeline.testcases.mutants", "kimi_pipeline.testcases.subset"),
    tables=(tables.SUITE_STRENGTH, tables.MUTANTS),
    kinds=("python", "docker", "deltalake"),
)
