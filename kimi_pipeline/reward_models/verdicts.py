"""The Chain-of-Thought RM's language: reasoning step by step, then a verdict, in one JSON object [2.3.5].

Belongs here: writing that object for a case whose truth is known, its schema, reading what a model wrote. Does not belong
here: cases (`cases.py`), asking a model (`cot.py`).

The reasoning says what the answer is, what that means in the reference's notation, and compares with the reference symbol
by symbol up to the first difference. The verdict comes last: every token of it is conditioned on the comparison.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

CORRECT, WRONG = "correct", "wrong"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "verdict": {"enum": [CORRECT, WRONG]}},
    "required": ["reasoning", "verdict"],
    "additionalProperties": False,
}
_SYMBOL = re.compile(r"\d|[A-Z]|[^\W\d_]+|[^\s\w]|_")
SAME, OTHER = "=", "#"  # marks of a pair of symbols
MISSING = "-"


class Trouble(StrEnum):
    """Why a model's text holds no verdict."""

    CUT = "rm_cut"  # the object was cut off
    NO_VERDICT = "rm_no_verdict"  # no object of this form


@dataclass(frozen=True, slots=True)
class Judgement:
    """One reading of a model's text: whether it finds the response correct, or why it says nothing (`trouble`)."""

    correct: bool | None
    reasoning: str
    trouble: Trouble | None = None


def symbols(value: str) -> list[str]:
    """A value in the parts that are compared: digits and capital letters one by one, words whole."""
    return _SYMBOL.findall(value)


def reasoning(reference: str, said: Sequence[str], value: str | None) -> str:
    """The steps for an answer as it was `said`, whose meaning in the reference's notation is `value` (None where nothing
    was said, or several things): `says four two is 42 reference 43 4/4=3/2#`.

    Value and reference are first written out side by side: a small model can copy each of them whole out of a long message,
    and pairs out of what stands close by, but not pairs out of the message; and it marks a pair that it has written, but not
    two symbols that it would have to look up.
    """
    if not said:
        return "says no answer"
    if len(said) > 1 or value is None:
        return f"says {' or '.join(said)} more than one"
    return f"says {said[0]} is {value} reference {reference} {compared(symbols(reference), symbols(value))}"


def compared(reference: Sequence[str], value: Sequence[str]) -> str:
    """`4/4=3/2#`: the pairs of symbols with a mark each, up to the first that differs."""
    pairs = []
    for left, right in zip_longest(reference, value, fillvalue=MISSING):
        pairs.append(f"{left}/{right}{SAME if left == right else OTHER}")
        if left != right:
            break
    return "".join(pairs)


def agrees(text: str, correct: bool) -> bool:
    """Whether the steps of `reasoning` lead to this verdict."""
    return text.endswith(SAME) == correct


def as_json(text: str, correct: bool) -> str:
    """The object that a model is to write."""
    return json.dumps(
        {"reasoning": text, "verdict": CORRECT if correct else WRONG}, ensure_ascii=False, separators=(",", ":")
    )


def read(text: str, finished: bool) -> Judgement:
    """What a model wrote, read strictly: one object with both fields. Never raises; a text that was cut (`finished` False)
    holds no verdict even where it parses, since what else it would have said is unknown."""
    if not finished:
        return Judgement(None, text, Trouble.CUT)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return Judgement(None, text, Trouble.NO_VERDICT)
    verdict = values.get("verdict") if isinstance(values, dict) else None
    steps = values.get("reasoning") if isinstance(values, dict) else None
    if verdict not in (CORRECT, WRONG) or not isinstance(steps, str):
        return Judgement(None, text, Trouble.NO_VERDICT)
    return Judgement(verdict == CORRECT, steps)
