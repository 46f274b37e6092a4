"""The forms of programs that a model may write for a problem: a generator of its inputs, a checker of its outputs [2.3.5].

Belongs here: what each form is asked for (with CYaRon's usage statement) and tried on. Does not belong here: what they share
(`writing.py`), where their inputs come from (`generators.py`, `checkers.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.checker import ACCEPTED, FAILED, Checker, NoVerdict
from kimi_pipeline.testcases.generating import (
    ALLOWED,
    SandboxFailed,
    check_generator,
    check_program,
    draw_inputs,
)
from kimi_pipeline.testcases.writing import Asked, Flaw, Form
from sandbox import Sandbox

TRIED = {"small": 2, "random": 2, "extreme": 1, "adversarial": 1}
SHOWN = 2  # examples that a prompt holds, the shortest ones
LONGEST_SHOWN = 400  # characters of an input or an output, in a prompt or a flaw
NO_CHANCE = frozenset({"cyaron", "random"})  # a verdict on an output is no matter of luck


@cache
def usage() -> str:
    """CYaRon's usage statement, ours, for the pinned version; every call in it is run by a test."""
    return (Path(__file__).parent / "cyaron.txt").read_text()


def _ask_for_generator(problem: Asked) -> list[str]:
    return [
        "Write a Python program that makes test inputs for the programming problem below. It prints ONE input to standard "
        "output, exactly in the format that the problem states, within all of its bounds, and nothing else.",
        "Two names are already defined: STRATUM is one of 'small', 'random', 'extreme', 'adversarial', and NUMBER counts "
        "0, 1, 2, ... within a stratum. small: tiny inputs; random: all sizes; extreme: the ends of the bounds; adversarial: "
        "inputs that a plausible wrong solution fails on. Different NUMBERs should give different inputs.",
        "Import only cyaron, random and other pure modules; read no input, open no files, do not seed. Answer with one "
        "```python block.",
        "# CYaRon\n" + usage().strip(),
        "# The problem\n" + problem["statement"].strip(),
    ]


def _flaw_of_generator(box: Sandbox, program: str, problem: Asked, seed: int) -> Flaw | None:
    """The first flaw that a few inputs of each stratum show. `problem` has a `validator`."""
    cases = draw_inputs(box, program, problem["validator"], problem_id=problem["problem_id"], seed=seed, counts=TRIED)
    flaw = next((one for one in cases if not one.usable and one.reason is not Reason.DUPLICATE_INPUT), None)
    if flaw is None:
        return None
    return flaw.reason, f"STRATUM {flaw.stratum!r}, NUMBER {flaw.number}: {flaw.detail}"


def _ask_for_checker(problem: Asked) -> list[str]:
    parts = [
        "Write a Python function check(given, output) for the programming problem below, for which several outputs may be "
        "right. Both arguments are texts: one input of the problem, and what a program printed for it.",
        "It returns True where that output is right for that input, else a short text that says what is wrong. Accept every "
        "right output, not only the one that you would print; refuse everything else: numbers that are missing, too many or "
        "out of bounds, words where numbers should be, an empty output.",
        "Import only pure modules; read no input, open no files. Answer with one ```python block.",
        "# The problem\n" + problem["statement"].strip(),
    ]
    short = [one for one in problem["examples"] if len(one["input"] + one["outputs"][0]) <= LONGEST_SHOWN]
    for one in sorted(short, key=lambda one: len(one["input"]))[:SHOWN]:
        parts.append(f"# An input\n{one['input'].strip()}\n\n# A right output for it\n{one['outputs'][0].strip()}")
    return parts


def _check_checker(source: str) -> Flaw:
    return check_program(source, ALLOWED - NO_CHANCE, Reason.CHECKER_READY)


def _flaw_of_checker(box: Sandbox, program: str, problem: Asked, seed: int) -> Flaw | None:
    """What a few inputs show: fewer than `agree` of an input's `outputs` accepted, or an empty one. Raises SandboxFailed."""
    try:
        with Checker(box, program) as checker:
            for one in problem["examples"]:
                given = one["input"].encode()
                found = {output: checker.check(given, output) for output in dict.fromkeys(one["outputs"])}
                accepted = sum(found[output].said == ACCEPTED for output in one["outputs"])
                if accepted < problem["agree"]:
                    output, word = next((text, said) for text, said in found.items() if said.said != ACCEPTED)
                    reason = Reason.CHECKER_FAILED if word.said == FAILED else Reason.CHECKER_TOO_STRICT
                    return reason, _shown(one["input"], output) + (word.why or "refused")
                if checker.check(given, "").said == ACCEPTED:
                    return Reason.CHECKER_TOO_LAX, _shown(one["input"], "") + "accepted"
    except NoVerdict as error:
        raise SandboxFailed(str(error)) from error
    return None


def _shown(given: str, output: str) -> str:
    return f"check({given[:LONGEST_SHOWN]!r}, {output[:LONGEST_SHOWN]!r}): "


GENERATOR = Form(
    name="generator",
    template="cyaron@1",
    ready=Reason.GENERATOR_READY,
    missing=Reason.NO_GENERATOR,
    holds="print",
    request=_ask_for_generator,
    check=check_generator,
    flaw=_flaw_of_generator,
)
CHECKER = Form(
    name="checker",
    template="checker@1",
    ready=Reason.CHECKER_READY,
    missing=Reason.NO_CHECKER,
    holds="def check",
    request=_ask_for_checker,
    check=_check_checker,
    flaw=_flaw_of_checker,
)
FORMS = {form.name: form for form in (GENERATOR, CHECKER)}
