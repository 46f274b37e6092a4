"""Evaluability [2.1]: multiple-choice, true/false and proof questions are excluded.

Belongs here: the rules and their reason codes. Does not belong here: problems that are merely too easy or guessable.
A rule looks for the *form* of a question. That a word such as "true" or "show" occurs is never enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.verdicts import judge
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "evaluability@1"
COLUMNS = "problem_id, prompt, answer, options"

_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)  # figure code is full of lettered points
# Capitals only: "(a) ... (b) ..." lists conditions or parts far more often than options.
_OPTIONS = re.compile(r"(?:^|[\s,;:.?])(?:\(([A-E])\)|\[([A-E])\]|([A-E])[).:])\s*\S", re.MULTILINE)
_WHICH_OF = re.compile(
    r"\bwhich (?:one )?of (?:the following|these|those)\b"
    r"|\b(?:choose|select|pick|mark) the (?:correct|best|right) (?:option|answer|choice|alternative)\b",
    re.IGNORECASE,
)
_TRUE_FALSE = re.compile(
    r"\btrue or false\b|\bfalse or true\b|\btrue/false\b|\byes or no\b|\byes/no\b"
    r"|(?:^|[.!?:]\s+)is (?:it|this|that) (?:true|correct|false)\b"
    r"|\b(?:statement|claim)\b[^.?!]{0,60}\b(?:true|false|correct)\s*\?",
    re.IGNORECASE,
)
_BINARY_ANSWERS = {"true", "false", "yes", "no", "correct", "incorrect"}
_PROOF = re.compile(
    r"(?:^|[.!?:;]\s+|\n\s*|,\s*then\s+|\band\s+|\(\w\)\s*|\bplease\s+)"
    r"(?:prove|disprove|show|demonstrate|verify|justify|establish)\b(?!\s+(?:your work|all (?:your )?work|your answer|that you))"
    r"[^.?!]{0,40}?\b(?:that|by|the|there|for|this|it|why|each|every|any|if)\b"
    r"|\b(?:give|write|provide|present) (?:a|an|the) (?:\w+ )?(?:proof|justification)\b",
    re.IGNORECASE,
)
_PROOF_ANSWERS = {"proof", "see proof", "proved", "q.e.d.", "qed", "see solution"}
_ASKS_VALUE = re.compile(
    r"\b(?:find|compute|determine|evaluate|calculate|how many|what is|what are|what was)\b", re.IGNORECASE
)


def evaluate(prompt: str, answer: str, options: Sequence[str] = ()) -> tuple[Reason, str]:
    """The reason code of one problem and where it was seen (`options`, `answer`, or `prompt:START-END`)."""
    if options:
        return Reason.MULTIPLE_CHOICE, "options"
    # Blanked, not cut: the spans must still point into the prompt as it is stored.
    prompt = _DRAWING.sub(lambda drawing: " " * len(drawing.group()), prompt)
    if span := _listed_options(prompt):
        return Reason.MULTIPLE_CHOICE, f"prompt:{span[0]}-{span[1]}"
    if match := _WHICH_OF.search(prompt):
        return Reason.MULTIPLE_CHOICE, f"prompt:{match.start()}-{match.end()}"
    plain = answer.strip().strip(".").casefold()
    if match := _TRUE_FALSE.search(prompt):
        return Reason.TRUE_FALSE, f"prompt:{match.start()}-{match.end()}"
    if plain in _BINARY_ANSWERS:
        return Reason.TRUE_FALSE, "answer"
    if plain in _PROOF_ANSWERS:
        return Reason.PROOF, "answer"
    if (match := _PROOF.search(prompt)) and not _ASKS_VALUE.search(prompt, match.end()):
        return Reason.PROOF, f"prompt:{match.start()}-{match.end()}"
    return Reason.EVALUABLE, ""


def _listed_options(prompt: str) -> tuple[int, int] | None:
    """The span of a list of options: A, B and C in a row, each opening an option."""
    marks = [(next(g for g in m.groups() if g), m.start(), m.end()) for m in _OPTIONS.finditer(prompt)]
    for first in range(len(marks) - 2):
        if [letter for letter, _, _ in marks[first : first + 3]] == ["A", "B", "C"]:
            return marks[first][1], marks[first + 2][2]
    return None


def evaluate_shard(rows: pa.Table) -> pa.Table:
    """Verdict rows of a shard with the columns of `COLUMNS`."""
    found = [
        (identity, *evaluate(prompt, answer, options or ()))
        for identity, prompt, answer, options in zip(
            *(rows.column(name).to_pylist() for name in rows.column_names), strict=True
        )
    ]
    return pa.table(
        {
            "problem_id": pa.array([identity for identity, _, _ in found], pa.string()),
            "verdict": pa.array([KEEP if r is Reason.EVALUABLE else REFUSE for _, r, _ in found], pa.string()),
            "reason_code": pa.array([str(r) for _, r, _ in found], pa.string()),
            "evidence": pa.array([where for _, _, where in found], pa.string()),
            "rule_version": pa.array([RULE] * len(found), pa.string()),
        }
    )


def judge_evaluability(context: Context) -> Outcome:
    return judge(context, "evaluability", tables.EVALUABILITY, RULE, COLUMNS, evaluate_shard)


EVALUABILITY = Stage(
    name="evaluability",
    description="Refuse multiple-choice, true/false and proof questions",
    group="curation",
    compute=judge_evaluability,
    upstream=("corpus", "duplicates"),
    code=(__name__,),
    tables=(tables.EVALUABILITY,),
    kinds=("python", "deltalake"),
)
