"""The code reward on suites known by construction: verdicts with evidence, hostile programs, failures of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kimi_pipeline.rewards.by_kind import NO_SUITE, CompositeReward
from kimi_pipeline.rewards.code import CodeReward, Suite, SuiteCase, extract_code
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward
from sandbox import Outcome, Sandbox, Verdict

CASES = tuple(SuiteCase(n, f"ab{n}\n".encode(), f"{n}ba", "random") for n in (1, 2, 3))
TOGETHER = Suite("p", CASES, together=True)
REFERENCE = Reference("p", "", "code")


def response(program: str) -> Response:
    return Response(f"So:\n```python\n{program}\n```\n", 9)


@pytest.mark.parametrize(
    ("program", "status", "reason"),
    [
        ("print(input()[::-1])", Status.CORRECT, None),
        ("s=input();print(s[::-1] if s!='ab2' else s)", Status.WRONG, "wrong_output: case 2 (random)"),
        ("print(input()); 1/0", Status.WRONG, "wrong_exit: case 1 (random)"),
        ("def (", Status.WRONG, "compile_error: case 1 (random)"),
        ("while True: pass", Status.WRONG, "time_limit: case 1 (random)"),
        ("print('\\ud800')", Status.WRONG, "wrong_exit: case 1 (random)"),
        ("import os; os.write(1, bytes([255]))", Status.WRONG, "not_utf8: case 1 (random)"),
        ("print(input()[::-1]); import sys; sys.exit(0)", Status.CORRECT, None),
        ("print(input()[::-1]); exit()", Status.CORRECT, None),
        ("print(input()[::-1]); raise SystemExit(1)", Status.WRONG, "wrong_exit: case 1 (random)"),
        ("import sys; print(sys.stdin.buffer.readline().decode().strip()[::-1])", Status.CORRECT, None),
        ("import sys; sys.stdout.buffer.write(input()[::-1].encode())", Status.CORRECT, None),
        ("f = open(0)\ndef main(): print(f.read().strip()[::-1])\nmain()", Status.CORRECT, None),
        ("import os; os.write(1, os.read(0, 99).strip()[::-1])", Status.CORRECT, None),
        ('import sys; sys.__stdout__.write(\'[["ok", "1ba"]]\'); sys.__stdout__.flush()', Status.WRONG, "wrong_output"),
        ("import os; os.kill(os.getpid(), 9)", Status.WRONG, "wrong_exit: case 1 (random)"),
    ],
)
def test_a_program_is_worth_what_it_prints(box: Sandbox, program: str, status: Status, reason: str | None) -> None:
    for suite in (TOGETHER, Suite("p", CASES)):
        (found,) = CodeReward({"p": suite}, box).score(REFERENCE, [response(program)])
        assert found.status is status
        assert found.reward == (1.0 if status is Status.CORRECT else 0.0)
        assert (found.reason or "").startswith(reason or "")
        assert ("failing_case" in found.parts) == (status is Status.WRONG)


class Counted:
    """A sandbox that counts what it runs."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.runs = box, 0

    def run(self, *what: Any) -> Iterator[Verdict]:
        for verdict in self.box.run(*what):
            self.runs += 1
            yield verdict


def test_the_same_program_again_is_not_run_again_and_one_without_a_program_never(box: Sandbox) -> None:
    counted = Counted(box)
    reward = CodeReward({"p": TOGETHER}, counted)  # type: ignore[arg-type]
    group = [response("print(input()[::-1])"), response("print(1)"), Response("No idea.", 2)]
    first = reward.score(REFERENCE, group)
    assert [one.status for one in first] == [Status.CORRECT, Status.WRONG, Status.NO_ANSWER]
    assert reward.score(REFERENCE, group) == first and counted.runs == 2
    assert extract_code("```python\nprint(1)\n") is None  # cut in the middle of its program


SEVERAL = Suite("p", CASES, checker="def check(given, output):\n    return sorted(given.strip()) == sorted(output)\n")


@pytest.mark.parametrize(
    ("program", "status", "reason"),
    [
        ("print(input())", Status.CORRECT, None),
        ("print(input()[::-1])", Status.CORRECT, None),
        ("s=input();print(s if s!='ab3' else 'ab')", Status.WRONG, "wrong_output: case 3 (random)"),
        ("pass", Status.WRONG, "wrong_output: case 1 (random)"),
        ("print('accepted')", Status.WRONG, "wrong_output: case 1 (random)"),
        ("1 / 0", Status.WRONG, "wrong_exit: case 1 (random)"),
    ],
)
def test_where_several_outputs_are_right_a_checker_says_which(
    box: Sandbox, program: str, status: Status, reason: str | None
) -> None:
    (found,) = CodeReward({"p": SEVERAL}, box).score(REFERENCE, [response(program)])
    assert (found.status, found.reason) == (status, reason)


def test_a_checker_that_fails_accepts_nothing(box: Sandbox) -> None:
    for checker in (
        "def check(given, output):\n    return 1 // 0",
        "print('accepted')",
        "def check(given, output): pass",
    ):
        suite = Suite("p", CASES, checker=checker)
        (found,) = CodeReward({"p": suite}, box).score(REFERENCE, [response("print(input())")])
        assert (found.reward, found.reason) == (0.0, "checker_failed: case 1 (random)")


class Broken:
    """A sandbox that fails so many times, then works."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def run(self, program: str, language: str, inputs: Iterator[bytes], limits: object) -> Iterator[Verdict]:
        for index, _ in enumerate(inputs):
            self.failures -= 1
            if self.failures >= 0:
                yield Verdict(input_index=index, outcome=Outcome.SANDBOX_ERROR, image="", detail="no worker")
                return
            yield Verdict(input_index=index, outcome=Outcome.OK, image="", stdout=b'[["ok", "1ba"]]')


@pytest.mark.parametrize("suite", [TOGETHER, Suite("p", CASES), SEVERAL])
def test_a_failure_of_the_sandbox_is_no_verdict_and_is_not_remembered(suite: Suite) -> None:
    broken = Broken(1)
    reward = CodeReward({"p": suite}, broken)  # type: ignore[arg-type]
    (found,) = reward.score(REFERENCE, [response("print(1)")])
    assert (found.status, found.reward) == (Status.INFRASTRUCTURE_ERROR, None)
    (again,) = reward.score(REFERENCE, [response("print(1)")])
    assert again.status is Status.WRONG


def test_each_problem_has_the_reward_of_its_kind(box: Sandbox) -> None:
    reward = CompositeReward(MathReward(), code=CodeReward({"p": TOGETHER}, box))
    (program,) = reward.score(REFERENCE, [response("print(input()[::-1])")])
    (answer,) = reward.score(Reference("m", "4", "integer"), [Response("\\boxed{4}", 3)])
    assert (program.reward, answer.reward) == (1.0, 1.0)
    (unknown,) = reward.score(Reference("q", "", "code"), [response("print(1)")])
    assert (unknown.status, unknown.reward, unknown.reason) == (Status.INFRASTRUCTURE_ERROR, None, NO_SUITE)


def test_a_failure_of_the_sandbox_in_a_check_is_no_verdict_on_the_output(box: Sandbox) -> None:
    class NoChecks:
        """Runs programs, and fails on the program around a checker."""

        def run(self, program: str, *rest: Any) -> Iterator[Verdict]:
            return (Broken(1) if "run_checker" in program else box).run(program, *rest)

    (found,) = CodeReward({"p": SEVERAL}, NoChecks()).score(REFERENCE, [response("print(input())")])  # type: ignore[arg-type]
    assert (found.status, found.reward, found.reason) == (
        Status.INFRASTRUCTURE_ERROR,
        None,
        "sandbox_error: no worker",
    )
