"""Generators in the sandbox: the same seed, the same bytes; and every way in which one may be bad."""

from __future__ import annotations

import pytest

import sandbox
from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases.forms import usage
from kimi_pipeline.testcases.generating import Case, check_generator, cyaron_folder, draw_inputs, shares
from sandbox import BackendUnavailable, Sandbox
from tests.conftest import missing

RANDOM = """
from cyaron import *
print(NUMBER, STRATUM, randint(1, 10**9), uniform(0, 1))
print(String.random(8), String.random_regular("[a-z]{3,9}[0-9]*"))
print(Graph.graph(6, 8, weight_limit=(1, 100)).to_str(shuffle=True))
print(Vector.random(4, [(1, 1000)]), {"b", "a", "c"})
"""


def drawn(
    box: Sandbox, program: str, counts: dict[str, int], validator: str | None = None, seed: int = 7
) -> list[Case]:
    return draw_inputs(box, program, validator, problem_id="p", seed=seed, counts=counts)


def test_fifty_cases_are_shared_over_the_strata() -> None:
    assert shares(50) == {"small": 15, "random": 20, "extreme": 8, "adversarial": 7}
    assert sum(shares(7).values()) == 7


def test_the_same_seed_gives_the_same_cases_byte_for_byte_on_both_backends(box: Sandbox) -> None:
    first = drawn(box, RANDOM, shares(6))
    assert [case.reason for case in first] == [Reason.GENERATED] * 6
    assert drawn(box, RANDOM, shares(6)) == first
    assert drawn(box, RANDOM, shares(6), seed=8) != first
    with cyaron_folder() as folder:
        try:
            docker = sandbox.open("docker", pool_size=1, packages=folder)
        except BackendUnavailable as error:
            missing(f"no docker backend: {error}")
        with docker:
            assert drawn(docker, RANDOM, shares(6)) == first


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("pass", Reason.EMPTY_INPUT),
        ("print(' ')", Reason.EMPTY_INPUT),
        ("while True: print('x' * 10**6)", Reason.GENERATOR_TOO_LARGE),
        ("while True: pass", Reason.GENERATOR_TIMEOUT),
        ("import os\nfor i in range(10000): open(f'/tmp/{i}', 'w').write('x')\nprint(1)", Reason.GENERATOR_TOO_LARGE),
        ("x = []\nwhile True: x.append('x' * 10**7)", Reason.GENERATOR_MEMORY),
        ("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe')", Reason.INPUT_NOT_UTF8),
        ("1 / 0", Reason.GENERATOR_CRASHED),
    ],
)
def test_a_bad_generator_ends_with_its_reason(program: str, reason: Reason, box: Sandbox) -> None:
    (case,) = drawn(box, program, {"small": 1})
    assert case.reason is reason
    assert not case.usable


def test_after_three_failures_in_a_row_the_rest_is_not_asked_for(box: Sandbox) -> None:
    cases = drawn(box, "print(NUMBER) if NUMBER < 2 else 1 / 0", {"small": 50})
    assert [case.usable for case in cases] == [True, True, False, False, False]
    assert cases[-1].detail == "ZeroDivisionError: division by zero"


def test_repeated_inputs_are_replaced_as_long_as_there_are_rounds(box: Sandbox) -> None:
    # 0 0 1 1, then 2 2 for the two that are missing, then 3 for the last one
    cases = drawn(box, "print(NUMBER // 2)", {"small": 4})
    assert sum(case.usable for case in cases) == 4
    assert {case.reason for case in cases} == {Reason.GENERATED, Reason.DUPLICATE_INPUT}
    usable = [case.data for case in cases if case.usable]
    assert len(usable) == len(set(usable))
    assert sum(case.usable for case in drawn(box, "print(1)", {"small": 6})) == 1


def test_an_input_outside_the_bounds_says_where(box: Sandbox) -> None:
    cases = drawn(box, "print(NUMBER)\nprint(1)", {"small": 3}, validator="ints(1, 0, 1)\nints(1, 1, 1)\nend()")
    assert [case.reason for case in cases] == [Reason.GENERATED, Reason.GENERATED, Reason.BREAKS_CONSTRAINTS]
    assert cases[2].detail == "line 1: a number is not between 0 and 1"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("from cyaron import *\nimport random, math\nprint(1)", Reason.GENERATOR_READY),
        ("import os", Reason.FORBIDDEN_IMPORT),
        ("from subprocess import run", Reason.FORBIDDEN_IMPORT),
        ("import time", Reason.FORBIDDEN_IMPORT),
        ("open('/etc/passwd')", Reason.FORBIDDEN_IMPORT),
        ("__import__('os')", Reason.FORBIDDEN_IMPORT),
        ("def f(:", Reason.NOT_A_PROGRAM),
        ("Here is the generator you asked for.", Reason.NOT_A_PROGRAM),
        ("\0", Reason.NOT_A_PROGRAM),
    ],
)
def test_what_a_generator_needs_not_is_refused_before_it_runs(program: str, reason: Reason) -> None:
    assert check_generator(program)[0] is reason


def test_every_call_of_the_usage_statement_works(box: Sandbox) -> None:
    calls = [line[2:].split("   ")[0].strip() for line in usage().splitlines() if line.startswith("  ")]
    assert len(calls) > 25
    program = (
        "from cyaron import *\nn, numbers, rows = 3, [1, 2], [[1, 2]]\ngraph = Graph.graph(6, 8)\n"
        "polygon = Polygon.simple_polygon([[0, 0], [5, 1], [3, 4], [1, 2]])\n"
        + "\n".join(f"{call}{' pass' if call.endswith(':') else ''}" for call in map(_whole, calls))
        + "\nprint('all of it')\n"
    )
    (case,) = drawn(box, program, {"small": 1})
    assert case.data is not None and case.data.endswith(b"all of it\n"), case.detail


def _whole(call: str) -> str:
    """A loop is shown with what it gives; as a program it needs a body."""
    return call.split(": edge.start")[0] + ": pass" if ": edge.start" in call else call
