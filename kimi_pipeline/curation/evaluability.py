"""Evaluability [2.1]: multiple-choice, true/false and proof questions are excluded, and others without one exact answer
that rules can check.

Belongs here: the order of the rules, the verdict with its evidence, the stage. Does not belong here: what a form looks
like (`forms.py`, `options.py`), problems that are merely too easy or guessable, turning one form into another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.options import DRAWING, answers_parts, options, parts
from kimi_pipeline.curation import forms
from kimi_pipeline.curation.verdicts import judge
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.problems import MANY_ANSWERS
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.bounded import surely_small
from kimi_pipeline.rewards.extraction import extract_answer
from kimi_pipeline.rewards.numbers import clean
from kimi_pipeline.rewards.pool import MEMORY, QUEUE_FULL, WORKER_FAILED
from kimi_pipeline.rewards.rules import hard, same_answer
from kimi_pipeline.rewards.verifier import shared_verifier
from kimi_pipeline.rewards.worker_process import DEADLINE
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "evaluability@4"
TRIES = 3  # of a verifier whose workers fail
COLUMNS = f"""problem_id, prompt, answer, options, len(images) > 0 as pictured,
    len(submissions) > 0 or answer_kind in {MANY_ANSWERS} as judged"""

_WIDE = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}  # Chinese punctuation and letters in full width
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:/\d+)?")


def evaluate(
    prompt: str, answer: str, given: Sequence[str] = (), *, pictured: bool = False, judged: bool = False
) -> tuple[Reason, str]:
    """The reason code of one problem and where it was seen (`options`, `answer`, or `prompt:START-END`).

    `given`: options that the source has as a field; `pictured`: the row holds an image; `judged`: tests or a
    task's own scorer judge a response, so that "print YES or NO", a missing answer or one of many are no reason.
    """
    if given:
        return Reason.MULTIPLE_CHOICE, "options"
    if judged:
        return Reason.EVALUABLE, ""
    # Replaced one by one, not cut: the spans must still point into the prompt as it is stored.
    drawn = pictured
    if "[asy]" in prompt:
        drawn = True
        prompt = DRAWING.sub(lambda drawing: " " * len(drawing.group()), prompt)
    if not prompt.isascii():
        prompt = prompt.translate(_WIDE)
    lower = prompt.lower()
    if len(lower) != len(prompt):  # İ becomes two characters
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in prompt)
    plain = forms.plain_answer(answer)
    found = _by_prompt(prompt, lower, plain, drawn)
    if found is None:
        reason = _by_answer(answer, plain)
        return (reason, "answer") if reason else (Reason.EVALUABLE, "")
    reason, where = found
    if isinstance(where, str):
        return reason, where
    start, end = where
    start += len(prompt[start:end]) - len(prompt[start:end].lstrip())  # a drawing before the words is no part of them
    return reason, f"prompt:{start}-{end}"


def _by_prompt(prompt: str, lower: str, plain: str, drawn: bool) -> tuple[Reason, tuple[int, int] | str] | None:
    """The form of a question; the report's three come first, so that their counts mean what it says."""
    if span := options(prompt, plain):
        return Reason.MULTIPLE_CHOICE, span
    if forms.is_binary(plain):
        return Reason.TRUE_FALSE, "answer"
    if span := forms.CHOICE.find(lower):
        return Reason.MULTIPLE_CHOICE, span
    if span := forms.TRUE_FALSE.find(lower):
        return Reason.TRUE_FALSE, span
    if span := parts(prompt):
        return Reason.MULTI_PART, span
    if forms.is_proof_note(plain):
        return Reason.PROOF, "answer"
    if span := forms.PROOF.find(lower):
        return Reason.PROOF, span
    if not drawn and (span := forms.missing_figure(lower)):
        return Reason.MISSING_FIGURE, span
    if span := forms.OPEN_ENDED.find(lower):
        return Reason.OPEN_ENDED, span
    return None


def _by_answer(answer: str, plain: str) -> Reason | None:
    if _NUMBER.fullmatch(plain):
        return None
    if answers_parts(answer):
        return Reason.MULTI_PART
    if forms.is_prose(answer):
        return Reason.OPEN_ENDED
    if not verifiable(answer):
        return Reason.UNVERIFIABLE_ANSWER
    return Reason.COSTLY_REFERENCE if costly(answer) else None


def verifiable(answer: str) -> bool:
    r"""Whether a response that gives the reference itself in `\boxed{}` is judged right. What is not (unbalanced braces,
    nothing but punctuation, a box of its own) would be wrong in every sample."""
    if not any(map(_says_something, answer)):
        return False
    if "\\" not in answer and "{" not in answer and "}" not in answer:
        return True  # found as it stands, and equal to itself
    given = extract_answer(f"\\boxed{{{answer}}}")
    return given is not None and (given == answer.strip() or same_answer(answer, given) is True)


def costly(answer: str) -> bool:
    """Whether reading the reference alone exceeds the verifier's deadline or memory [2.3.5]: no response could be judged.

    Almost no reference needs a worker to tell. Raises RuntimeError where the workers fail, which says nothing of the
    problem.
    """
    if surely_small(answer) or not hard(clean(answer)):
        return False
    for _ in range(TRIES):
        reason = shared_verifier().checkable(answer)
        if reason not in (WORKER_FAILED, QUEUE_FULL):
            return reason in (DEADLINE, MEMORY)
    raise RuntimeError(f"the verifier's workers fail ({reason}): references can't be checked, run it again")


def _says_something(character: str) -> bool:
    return character.isalnum() or character in "∞∅<>=≤≥+-*/%"


def evaluate_shard(rows: pa.Table) -> pa.Table:
    """Verdict rows of a shard with the columns of `COLUMNS`."""
    identities, *columns = (rows.column(name).to_pylist() for name in rows.column_names)
    found = [
        evaluate(prompt, answer or "", given or (), pictured=bool(pictured), judged=bool(judged))
        for prompt, answer, given, pictured, judged in zip(*columns, strict=True)
    ]
    return pa.table(
        {
            "problem_id": pa.array(identities, pa.string()),
            "verdict": pa.array([KEEP if r is Reason.EVALUABLE else REFUSE for r, _ in found], pa.string()),
            "reason_code": pa.array([str(r) for r, _ in found], pa.string()),
            "evidence": pa.array([where for _, where in found], pa.string()),
            "rule_version": pa.array([RULE] * len(found), pa.string()),
        }
    )


def judge_evaluability(context: Context) -> Outcome:
    return judge(context, "evaluability", tables.EVALUABILITY, RULE, COLUMNS, evaluate_shard)


EVALUABILITY = Stage(
    name="evaluability",
    description="Refuse questions without one exact answer that rules can check: choices, true or false, proofs, ...",
    group="curation",
    compute=judge_evaluability,
    upstream=("corpus", "duplicates"),
    code=(
        __name__,
        "kimi_pipeline.curation.forms",
        "kimi_pipeline.corpora.options",
        "kimi_pipeline.problems",
        "kimi_pipeline.rewards.bounded",
        "kimi_pipeline.rewards.extraction",
        "kimi_pipeline.rewards.rules",
        "kimi_pipeline.rewards.verifier",
    ),
    tables=(tables.EVALUABILITY,),
    kinds=("python", "deltalake"),
    by_profile=False,
)
