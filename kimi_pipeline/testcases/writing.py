"""What a model is told to write a generator, and what is read from its answer [2.3.5].

Belongs here: the prompt (CYaRon's usage statement, the problem, the error of the last attempt), the parser. Does not belong
here: asking an engine (`writing_job.py`), running what was written (`generating.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases.generating import check_generator

PROMPT = "cyaron@1"

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One generator: from `problem`, or `model:DIGEST`. `program` is None where the answer held none."""

    origin: str
    number: int
    program: str | None
    reason: Reason
    detail: str = ""
    response: str = ""


@cache
def usage() -> str:
    """CYaRon's usage statement, ours, for the pinned version; every call in it is run by a test."""
    return (Path(__file__).parent / "cyaron.txt").read_text()


def prompt(statement: str, program: str | None = None, trouble: str = "") -> str:
    """The user's turn. After a failed attempt: with its program and what went wrong."""
    parts = [
        "Write a Python program that makes test inputs for the programming problem below. It prints ONE input to standard "
        "output, exactly in the format that the problem states, within all of its bounds, and nothing else.",
        "Two names are already defined: STRATUM is one of 'small', 'random', 'extreme', 'adversarial', and NUMBER counts "
        "0, 1, 2, ... within a stratum. small: tiny inputs; random: all sizes; extreme: the ends of the bounds; adversarial: "
        "inputs that a plausible wrong solution fails on. Different NUMBERs should give different inputs.",
        "Import only cyaron, random and other pure modules; read no input, open no files, do not seed. Answer with one "
        "```python block.",
        "# CYaRon\n" + usage().strip(),
        "# The problem\n" + statement.strip(),
    ]
    if trouble:
        parts.append(
            "# Your last attempt\n```python\n" + (program or "").strip() + "\n```\nIt failed: " + trouble.strip()
        )
    return "\n\n".join(parts)


def extract_program(answer: str) -> str | None:
    """The program of an answer: its longest Python block (a block cut off by the token limit counts), else the whole answer
    where that reads like a program. None where there is none."""
    blocks = [found[2] for found in _FENCE.findall(answer) if found[1].lower() in _PYTHON]
    blocks = [block for block in blocks if block.strip()]
    if blocks:
        return max(blocks, key=len).strip() + "\n"
    text = answer.strip()
    if text and check_generator(text)[0] is not Reason.NOT_A_PROGRAM and "print" in text:
        return text + "\n"
    return None


def read_answer(origin: str, number: int, answer: str) -> Attempt:
    """An attempt, checked as far as it can be without running it."""
    program = extract_program(answer)
    if program is None:
        return Attempt(origin, number, None, Reason.NOT_A_PROGRAM, "the answer holds no Python block", answer)
    reason, detail = check_generator(program)
    return Attempt(origin, number, program, reason, detail, answer)
