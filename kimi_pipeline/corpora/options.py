"""Marked lists in a prompt: options of a multiple-choice question, parts of a question in several parts.

Belongs here: finding `(A) ... (B) ...` and `(a) ... (b) ...` and telling which of both it is. Does not belong here:
options that a source gives as a field, forms without marks (`curation/forms.py`), verdicts (`curation/evaluability.py`).
"""

from __future__ import annotations

import re
from itertools import pairwise

DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_LATEX = r"(?:\$?\\(?:text|textbf|mathrm|mathbf)\s*\{?\s*)?"
_CAPITALS = re.compile(
    rf"(?:^|[\s,;:.?!。)$&{{])(?:{_LATEX}[(\[]([A-F])[)\]]|{_LATEX}([A-F])\s?[).:、])[}}$]*\s*(?=\S)",
    re.MULTILINE,
)
_SMALL = re.compile(r"(?:^|[\s,;:.?!])(?:\(([a-e])\)|([a-e])\))\s*(?=\S)", re.MULTILINE)
_SECOND_OPTION = ("B)", "B.", "B:", "B]", "B、", "B}")  # looked for first: far cheaper than the pattern
_LETTER = re.compile(r"\(?([a-f])\)?")
_AND = re.compile(r"(?:\band|且|和)\s*$", re.IGNORECASE)

_PART = re.compile(
    r"(?:^|[\s.;:?!,。])(?:\(([abc123]|i{1,3})\)|\bpart ([abc123])\b[.:)]?)|([①②③])", re.MULTILINE | re.IGNORECASE
)
_SECOND_PART = ("(b)", "(B)", "(2)", "(ii)", "②", "art b", "art B", "art 2")
_ORDERS = (("a", "b"), ("1", "2"), ("i", "ii"), ("①", "②"))
_ASKED = re.compile(
    r"^\W*(?:find|compute|determine|evaluate|calculate|solve|prove|show|what|how|write|state|give|express|is|are|does|explain"
    r"|sketch|draw|which|when|where|simplify|factor|list|name|estimate)\b|^\W*(?:求|计算|证明|写出|判断|化简|解|若[^。]*求|画)"
    r"|\?|多少|(?:^|[,。])求",
    re.IGNORECASE,
)


def options(prompt: str, plain_answer: str) -> tuple[int, int] | None:
    """The span of a list of options: A, B and C in a row; A and B do where the answer is a letter. None for a list of
    conditions ("(A) ..., and (B) ..., and (C) ...") and for small letters, unless the answer is one of them."""
    letter = len(plain_answer) <= 3 and _LETTER.fullmatch(plain_answer) is not None
    if any(mark in prompt for mark in _SECOND_OPTION):
        least = 2 if letter else 3
        if span := _run(prompt, _CAPITALS, "ABC"[:least]):
            return span
    return _run(prompt, _SMALL, "abc") if letter and "b)" in prompt else None


def listed_options(prompt: str) -> tuple[int, list[str]] | None:
    """Where a list of options under capitals begins, and the text behind each mark, in order; None where there is no such
    list. A drawing's code, which is full of lettered points, is none. The last option runs to the end of the prompt."""
    shown = DRAWING.sub(lambda drawing: " " * len(drawing.group()), prompt)
    span = _run(shown, _CAPITALS, "ABC")
    if span is None:
        return None
    marks = [mark for mark in _marks(shown, _CAPITALS) if mark[1] >= span[0]]
    run = [mark for mark, letter in zip(marks, "ABCDEF", strict=False) if mark[0] == letter]
    ends = [start for _, start, _ in run[1:]] + [len(prompt)]
    return span[0], [prompt[begin:end] for (_, _, begin), end in zip(run, ends, strict=True)]


def _marks(prompt: str, pattern: re.Pattern[str]) -> list[tuple[str, int, int]]:
    return [(next(group for group in m.groups() if group), m.start(), m.end()) for m in pattern.finditer(prompt)]


def _run(prompt: str, pattern: re.Pattern[str], wanted: str) -> tuple[int, int] | None:
    marks = _marks(prompt, pattern)
    for first in range(len(marks) - len(wanted) + 1):
        run = marks[first : first + len(wanted)]
        if "".join(mark for mark, _, _ in run) == wanted and not any(
            _AND.search(prompt[max(0, start - 6) : start + 1]) for _, start, _ in run[1:]
        ):
            return run[0][1], run[-1][2]
    return None


def parts(prompt: str) -> tuple[int, int] | None:
    """The span from the first to the second mark of a question in parts: each part asks something. Lists of conditions
    or givens, where what is asked comes at the end, are none."""
    if not any(mark in prompt for mark in _SECOND_PART):
        return None
    marks = [(next(g for g in m.groups() if g).lower(), m.start(), m.end()) for m in _PART.finditer(prompt)]
    for (one, start, begin), (other, end, after) in pairwise(marks):
        if (one, other) in _ORDERS:
            following = next((place for _, place, _ in marks if place > end), len(prompt))
            if _ASKED.search(prompt[begin:end]) and _ASKED.search(prompt[after:following]):
                return start, after
    return None


def answers_parts(answer: str) -> bool:
    """Whether a reference answers several parts: `(a) 3 (b) 5`."""
    marks = [next(g for g in m.groups() if g).lower() for m in _PART.finditer(answer)] if len(answer) > 6 else []
    return any(pair in _ORDERS for pair in pairwise(marks))
