"""The built-in problems are what they say: by a brute force of each, in the sandbox."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from kimi_pipeline.corpora.coding_library import builtin_problems
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WEAK, WRONG
from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases import special_judge
from kimi_pipeline.testcases.forms import CHECKER
from kimi_pipeline.testcases.generating import check_generator
from sandbox import Sandbox
from tests.testcases.truth import GOOD, truths

PROBLEMS = builtin_problems()
INPUTS = 24


def test_there_are_twenty_of_many_kinds() -> None:
    assert len(PROBLEMS) == len({one.problem_id for one in PROBLEMS}) == 20
    assert {one.domain for one in PROBLEMS} == {
        "arrays",
        "strings",
        "number theory",
        "graphs",
        "trees",
        "geometry",
        "dynamic programming",
    }
    planted = Counter(one.planted for one in PROBLEMS)
    assert planted == {"sound": 14, "special_judge": 2, "ambiguous": 2, "bad_generator": 2}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: one.name)
def test_each_has_fourteen_different_right_programs_and_six_with_a_named_bug(problem) -> None:  # type: ignore[no-untyped-def]
    accepted = problem.of_kind(ACCEPTED)
    assert len(accepted) >= 14
    assert {one.language for one in accepted} == {"python", "cpp"}
    shapes = {ast.dump(ast.parse(one.source)) for one in accepted if one.language == "python"}
    assert len(shapes) == sum(one.language == "python" for one in accepted)  # not one program laid out twice
    assert len(problem.of_kind(WRONG)) >= 5
    assert len(problem.of_kind(WEAK)) >= 1
    assert problem.generator is not None and problem.validator is not None
    assert check_generator(problem.generator)[0] is Reason.GENERATOR_READY
    assert special_judge.detect(problem.statement).needed == (problem.planted == "special_judge")
    assert (problem.checker is not None) == (problem.planted == "special_judge")
    assert problem.checker is None or CHECKER.check(problem.checker)[0] is Reason.CHECKER_READY


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: one.name)
def test_accepted_programs_agree_with_a_brute_force_and_wrong_ones_do_not(problem, box: Sandbox) -> None:  # type: ignore[no-untyped-def]
    (found,) = truths([problem], INPUTS, box, compiled=1, every=3)
    assert len(found.inputs) >= INPUTS // 2
    assert found.false == []
    if problem.planted == "sound" or problem.name in GOOD:
        assert found.unusable == []
    # a weak program's bug may need more inputs than these
    uncaught = [label for label, wrong in found.caught.items() if wrong is None and label.startswith(WRONG)]
    assert uncaught == []
