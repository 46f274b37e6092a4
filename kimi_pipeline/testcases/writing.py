"""Programs that come with a problem or that a model writes for it: what is asked, what is read from an answer, the rows.

Belongs here: what every form of such a program shares. Does not belong here: the forms themselves (`forms.py`), asking an
engine (`writing_job.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kimi_pipeline.corpora.coding_problem import CodingProblem
from kimi_pipeline.digests import digest
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases.scope import Judged
from sandbox import Sandbox

SUPPLIED = "problem"

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = ("", "py", "python", "python3")

Asked = Mapping[str, Any]
"""A problem as a model is asked about it: `problem_id`, `statement`, and what its form needs."""
Flaw = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of program. `ready` and `missing` are the reasons of one that is fit and of none; `holds` is a piece of text
    without which an answer is no such program; `check` reads a program, `flaw` tries it on a few inputs in the sandbox (seed
    last; None: no flaw shows)."""

    name: str
    template: str
    ready: Reason
    missing: Reason
    holds: str
    request: Callable[[Asked], list[str]]
    check: Callable[[str], Flaw]
    flaw: Callable[[Sandbox, str, Asked, int], Flaw | None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One program: from `problem`, or `model:DIGEST`. `program` is None where the answer held none."""

    origin: str
    number: int
    program: str | None
    reason: Reason
    detail: str = ""
    response: str = ""


def prompt(form: Form, problem: Asked, program: str | None = None, trouble: str = "") -> str:
    """The user's turn. After a failed attempt: with its program and what went wrong."""
    parts = form.request(problem)
    if trouble:
        parts.append(
            "# Your last attempt\n```python\n" + (program or "").strip() + "\n```\nIt failed: " + trouble.strip()
        )
    return "\n\n".join(parts)


def extract_program(form: Form, answer: str) -> str | None:
    """The program of an answer: its longest Python block (a block cut off by the token limit counts), else the whole answer
    where that reads like a program. None where there is none."""
    blocks = [found[2] for found in _FENCE.findall(answer) if found[1].lower() in _PYTHON]
    blocks = [block for block in blocks if block.strip()]
    if blocks:
        return max(blocks, key=len).strip() + "\n"
    text = answer.strip()
    if text and form.check(text)[0] is not Reason.NOT_A_PROGRAM and form.holds in text:
        return text + "\n"
    return None


def read_answer(form: Form, origin: str, number: int, answer: str) -> Attempt:
    """An attempt, checked as far as it can be without running it."""
    program = extract_program(form, answer)
    if program is None:
        return Attempt(origin, number, None, Reason.NOT_A_PROGRAM, "the answer holds no Python block", answer)
    reason, detail = form.check(program)
    return Attempt(origin, number, program, reason, detail, answer)


def supplied(form: Form, program: str | None) -> list[Attempt]:
    """The program that came with a problem, read like any other; none where none did."""
    return [] if program is None else [Attempt(SUPPLIED, 1, program, *form.check(program))]


def tried(form: Form, box: Sandbox, attempt: Attempt, problem: Asked, seed: int) -> Attempt:
    """The attempt; one that reads well is refused with the first flaw that a few inputs show."""
    if attempt.reason is not form.ready or attempt.program is None:
        return attempt
    flaw = form.flaw(box, attempt.program, problem, seed)
    return attempt if flaw is None else replace(attempt, reason=flaw[0], detail=flaw[1])


def attempt_row(form: Form, problem_id: str, attempt: Attempt) -> dict[str, Any]:
    """An attempt as its table stores it."""
    return {
        "problem_id": problem_id,
        f"{form.name}_id": digest(attempt.program or ""),
        "origin": attempt.origin,
        "attempt": attempt.number,
        "verdict": KEEP if attempt.reason is form.ready else REFUSE,
        "reason_code": str(attempt.reason),
        "evidence": attempt.detail,
        "program": attempt.program,
        "response": attempt.response,
    }


def judge_attempts(form: Form, problem: CodingProblem, attempts: Sequence[Attempt]) -> Judged:
    """The last attempt counts."""
    if not attempts:
        return Judged(problem, REFUSE, form.missing, {})
    last = attempts[-1]
    verdict = KEEP if last.reason is form.ready else REFUSE
    return Judged(problem, verdict, last.reason, {"origin": last.origin, "attempts": len(attempts)})


def attempt_figures(
    form: Form, judged: Sequence[Judged], refused: Counter[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """What a stage tells of its problems, of their refusals by reason, and of the rows of all attempts."""
    return {
        "problems": len(judged),
        f"with_a_{form.name}": sum(one.kept for one in judged),
        **dict(refused.most_common()),
        "supplied": sum(row["origin"] == SUPPLIED for row in rows),
        "written_attempts": sum(row["origin"] != SUPPLIED for row in rows),
    }
