"""Are the built-in problems what they say? Every accepted program against a brute force, every wrong one caught by it.

`python -m tests.testcases.truth 200 [NAME ...]` asks all of it on 200 inputs a problem and prints what is not as it says. The
test asks less, to be quick: right programs on a third of 24 inputs, one of the C++ ones a problem.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sandbox
from kimi_pipeline.corpora.coding_library import builtin_problems
from kimi_pipeline.corpora.coding_problem import ACCEPTED, CodingProblem, Program
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.outputs import normalise
from kimi_pipeline.testcases.execution import limits_of
from kimi_pipeline.testcases.generating import cyaron_folder, draw_inputs, shares
from sandbox import Job, Outcome, Sandbox, Verdict
from tests.testcases.brute_force import reading_of, right

GOOD = {
    "bracket_depth": """
from cyaron import *
n = {"small": randint(1, 4), "random": randint(1, 50), "extreme": 50, "adversarial": randint(20, 50)}[STRATUM]
s, depth = "", 0
while len(s) < 2 * n:
    up = depth == 0 or (depth < 2 * n - len(s) and randint(1, 10) <= (8 if STRATUM in ("extreme", "adversarial") else 5))
    if STRATUM == "extreme" and NUMBER == 0: up = len(s) < n
    s += "(" if up else ")"; depth += 1 if up else -1
print(s)
""",
    "common_divisor": """
from cyaron import *
n = {"small": randint(1, 4), "random": randint(1, 50), "extreme": 50, "adversarial": randint(2, 9)}[STRATUM]
d = {"small": randint(1, 6), "random": choice([1, 360]), "extreme": randint(1, 10**6), "adversarial": randint(2, 30)}[STRATUM]
a = [d * randint(1, 10 if STRATUM == "small" else 10**9 // d) for _ in range(n)]
least = min(a)
if STRATUM == "adversarial" and NUMBER % 2: a = [least] + [least * randint(1, 10**9 // least) for _ in a] + [d * randint(1, 99)]
print(len(a))
print(*a)
""",
    "most_frequent": """
from cyaron import *
n = {"small": randint(1, 6), "random": randint(1, 100), "extreme": 100, "adversarial": randint(10, 60)}[STRATUM]
top = choice([3, 10, 50])
a = [randint(1, top) for _ in range(n)]
if STRATUM == "adversarial": a = [top] * 3 + a + [randint(1, top)] * (NUMBER + 2)
print(len(a))
print(*a)
""",
}
"""Generators for problems whose own is bad, or shows nothing but ties: their submissions are right all the same."""


@dataclass
class Truth:
    """What was found of a problem. `caught` is what a program with a bug failed on first (None: nothing)."""

    problem: CodingProblem
    inputs: list[bytes]
    unusable: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    caught: dict[str, str | None] = field(default_factory=dict)


def truths(
    problems: list[CodingProblem], count: int, box: Sandbox, *, compiled: int | None = None, every: int = 1
) -> Iterator[Truth]:
    """`box` has CYaRon among its packages. Right programs see each `every`-th input, and only the first `compiled` of
    their C++ ones run."""
    for problem in problems:
        generator = GOOD.get(problem.name, problem.generator)
        assert generator is not None
        cases = draw_inputs(
            box, generator, problem.validator, problem_id=problem.problem_id, seed=0, counts=shares(count)
        )
        usable = [case.data for case in cases if case.usable and case.data is not None]
        found = Truth(problem, usable)
        found.unusable = [
            f"{case.reason}: {case.detail}"
            for case in cases
            if not case.usable and case.reason is not Reason.DUPLICATE_INPUT
        ]
        cpp = [one for one in problem.of_kind(ACCEPTED) if one.language == "cpp"]
        left_out = cpp[compiled:] if compiled is not None else []
        programs = [one for one in problem.programs if one not in left_out]
        found.caught = {one.label: None for one in programs if one.kind != ACCEPTED}
        seen = {one: usable[::every] if one.kind == ACCEPTED else usable for one in programs}
        jobs = [_job(problem, one, seen[one]) for one in programs]
        for place, verdict in box.run_many(jobs):
            program, given = programs[place], seen[programs[place]][verdict.input_index]
            if wrong := _wrong(problem, program, given, verdict):
                if program.kind == ACCEPTED:
                    found.false.append(f"{program.name}: {wrong} on {given[:200]!r}")
                else:
                    found.caught[program.label] = wrong
        yield found


def _job(problem: CodingProblem, program: Program, inputs: list[bytes]) -> Job:
    """Programs with a bug stop at the first input that shows it."""

    def caught(verdict: Verdict) -> bool:
        return bool(_wrong(problem, program, inputs[verdict.input_index], verdict))

    stop = None if program.kind == ACCEPTED else caught
    return Job(program.source, program.language, inputs, limits_of(problem), stop)


def _wrong(problem: CodingProblem, program: Program, given: bytes, verdict: Verdict) -> str:
    assert verdict.outcome is not Outcome.SANDBOX_ERROR, verdict.detail
    output = normalise(verdict.stdout)
    if verdict.outcome is not Outcome.OK or output is None:
        return str(verdict.outcome)
    try:
        readings = [reading_of(problem.name, program.name)] if program.kind == ACCEPTED else _all_readings(problem)
        fits = any(right(problem.name, reading, given, output) for reading in readings)
    except ValueError:  # words where numbers should be
        fits = False
    return "" if fits else f"printed {output[:80]!r}"


def _all_readings(problem: CodingProblem) -> list[str]:
    return sorted({reading_of(problem.name, one.name) for one in problem.of_kind(ACCEPTED)})


def main(arguments: list[str]) -> None:
    with cyaron_folder() as folder, sandbox.open("bubblewrap", pool_size=2, packages=folder) as box:
        for found in truths(builtin_problems(arguments[1:]), int(arguments[0]), box):
            uncaught = [label for label, wrong in found.caught.items() if wrong is None]
            told: dict[str, Any] = {"false": found.false[:5], "uncaught": uncaught, "unusable": found.unusable[:3]}
            print(found.problem.name, len(found.inputs), "inputs", told, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
