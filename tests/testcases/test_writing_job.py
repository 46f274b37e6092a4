"""A model that writes generators: recorded answers of every quality, and a real engine with a small chat model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from kimi_pipeline.bench.writing import measure, without_generators
from kimi_pipeline.corpora.coding_library import builtin_problems, read_folder
from kimi_pipeline.home import Home
from kimi_pipeline.inference.request import Completion, SampleRequest
from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases.forms import CHECKER, GENERATOR
from kimi_pipeline.testcases.writing_job import write_programs
from sandbox import Sandbox
from tests.conftest import SHARED, require

GOOD = "n = {'small': 3, 'random': 40, 'extreme': 300, 'adversarial': 9}[STRATUM]\n"
GOOD += "print(n)\nprint(*[randint(-9, 9) for _ in range(n)])"
RECORDED = {
    "learns from its errors": [
        "```python\nprint(0)\nprint()\n```",
        f"```python\nfrom random import randint\n{GOOD}\n```",
    ],
    "prints nothing": ["```python\nprint()\n```"] * 2,
    "talks": ["Sure! To write a generator, first think about the bounds."] * 2,
    "opens files": ["```python\nprint(open('/etc/passwd').read())\n```"] * 2,
}


def answered(request: SampleRequest, text: str) -> Completion:
    return Completion(request, text=text, token_ids=(), finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_errors_are_fed_back_and_every_attempt_that_fails_has_its_reason(box: Sandbox) -> None:
    (problem,) = builtin_problems(["max_subarray"])
    problems = [
        {"problem_id": name, "statement": problem.statement, "validator": problem.validator} for name in RECORDED
    ]
    asked: list[SampleRequest] = []

    def ask(requests: Sequence[SampleRequest]) -> list[Completion]:
        asked.extend(requests)
        return [answered(one, RECORDED[one.problem_id][one.sample_index - 1]) for one in requests]

    found = write_programs(GENERATOR, problems, ask, box, checkpoint="recorded", attempts=2, max_tokens=9, seed=0)
    assert {name: [one.reason for one in attempts] for name, attempts in found.items()} == {
        "learns from its errors": [Reason.BREAKS_CONSTRAINTS, Reason.GENERATOR_READY],
        "prints nothing": [Reason.EMPTY_INPUT] * 2,
        "talks": [Reason.NOT_A_PROGRAM] * 2,
        "opens files": [Reason.FORBIDDEN_IMPORT] * 2,
    }
    first, *_, second = [one.user_message for one in asked if one.problem_id == "learns from its errors"]
    assert "Your last attempt" not in first
    assert "print(0)" in second and Reason.BREAKS_CONSTRAINTS.meaning in second and "line 1" in second


RIGHT = "def check(given, output):\n    return given.split()[0] == output.strip('+')"
WRITTEN = {
    "learns from its errors": [
        "Every output is fine.",
        "```python\ndef check(given, output):\n    return True\n```",
        "```python\ndef check(given, output):\n    return given == output\n```",
        f"```python\n{RIGHT}\n```",
    ],
    "crashes": ["```python\ndef check(given, output):\n    return int(output[9])\n```"] * 4,
}


def test_a_checker_is_tried_on_what_submissions_print_and_its_flaw_is_fed_back(box: Sandbox) -> None:
    examples = [{"input": f"{n} 0\n", "outputs": [f"{n}", f"+{n}", f"{n}", "another"]} for n in (7, 8)]
    problems = [
        {"problem_id": name, "statement": "Print any form of n.", "agree": 3, "examples": examples} for name in WRITTEN
    ]
    asked: list[SampleRequest] = []

    def ask(requests: Sequence[SampleRequest]) -> list[Completion]:
        asked.extend(requests)
        return [answered(one, WRITTEN[one.problem_id][one.sample_index - 1]) for one in requests]

    found = write_programs(CHECKER, problems, ask, box, checkpoint="recorded", attempts=4, max_tokens=9, seed=0)
    assert {name: [one.reason for one in attempts] for name, attempts in found.items()} == {
        "learns from its errors": [
            Reason.NOT_A_PROGRAM,
            Reason.CHECKER_TOO_LAX,
            Reason.CHECKER_TOO_STRICT,
            Reason.CHECKER_READY,
        ],
        "crashes": [Reason.CHECKER_FAILED] * 4,
    }
    assert "check('7 0\\n', '7'): IndexError" in found["crashes"][0].detail
    mine = [one.user_message for one in asked if one.problem_id == "learns from its errors"]
    assert "check('7 0\\n', ''): accepted" in mine[2] and "check('7 0\\n', '7'): refused" in mine[3]
    assert {one.purpose for one in asked} == {"checker"}


def test_the_problems_that_are_measured_bring_no_generator(tmp_path: Path) -> None:
    read = read_folder(without_generators(tmp_path / "problems", ["prime_count", "max_subarray", "pair_with_sum"]))
    assert [(one.name, one.generator) for one in read] == [("prime_count", None)]
    assert read[0].validator is not None


@pytest.mark.slow
def test_a_small_real_model_fails_in_ways_that_are_counted(tmp_path: Path) -> None:
    require("vllm")
    tool = SHARED / "tools" / "smollm2.py"
    if not tool.is_file():
        pytest.skip("no ../shared/tools/smollm2.py to make a small chat model with")
    for needed in ("gguf", "accelerate"):  # of that tool, not of the project
        pytest.importorskip(needed)
    model = tmp_path / "smollm2"
    if subprocess.run([sys.executable, str(tool), str(model)], check=False).returncode:
        pytest.skip("the small chat model could not be made")
    figures = measure(Home(tmp_path / "home").prepare(), model, ["prime_count"])["figures"]
    assert figures["problems"] == 1
    assert 1 <= figures["attempts"] == sum(figures["attempts_by_reason"].values()) <= 3
    assert figures["working_generators"] == figures["attempts_by_reason"].get("generator_ready", 0)
    assert figures["suites_kept"] + sum(figures["ended_later"].values()) == figures["working_generators"]
