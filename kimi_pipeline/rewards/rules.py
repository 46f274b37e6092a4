"""Whether two answers are the same [2.3.5]: one set of rules, with a hole for algebra.

Belongs here: the order in which an answer is compared as text, number, list, formula; what is refused whatever its value.
Does not belong here: algebra itself. `Scalar` fills the hole: in the caller's process nothing does (`no_algebra`), in a
worker math-verify does (`symbolic.py`). So whatever is decided without algebra is decided the same way in both.

A verdict of False is a claim too: it is given where the two are known to differ, never because a text was not understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from kimi_pipeline.rewards.arithmetic import PLAIN, BrokenError, worked_out
from kimi_pipeline.rewards.numbers import Quantity, as_number, canonical, clean, quantity, same_quantity, without_spaces
from kimi_pipeline.rewards.structures import (
    LONGEST,
    Structure,
    is_value,
    joined_parts,
    split,
    structure,
    value_of_assignment,
)

Scalar = Callable[[str, str], bool | None]

FREE_FORM = "free_form"  # the answer kind of words: other words may say the same
SEVERAL_ANSWERS = "several_answers"
HIDDEN_CONTENT = "hidden_content"

_SYMBOLIC = re.compile(
    r"[\\^_{}<>≤≥≠√π∞|]|[a-zA-Z]\s*[-+*/=(]|[-+*/=)]\s*[a-zA-Z]|[\d)]\s*[+*×·÷!-]\s*[\d(]|\d\s*[!/(]"
)
_VARIABLE = re.compile(r"\d\s*[a-zA-Z](?![a-zA-Z])|(?<![a-zA-Z])[a-zA-Z]\s*\d")  # 18x is not 18
_RELATION = re.compile(r"[<>≤≥≠]|\\(?:[lg]eq?q?|neq?|leqslant|geqslant|approx|sim)(?![a-z])")
_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)")
_HIDING = re.compile(
    r"\\[hv]?phantom|\\[rl]lap|\\(?:text)?color|\\hidewidth|\\iffalse|\\tiny|\\scalebox|\\smash|\\opacity|\\rule"
    r"|\\hspace|\\kern|\\not(?![a-z])|[\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\u00ad]"
)
_COMMENT = re.compile(r"(?<!\\)%\s*\S*\d")  # 18% 19: LaTeX shows 18 alone
_CHOICE = re.compile(r"\(?([A-Ja-j])\)?(?:[).:]\s*.*)?", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_LHS = re.compile(r"[a-zA-Z]\w*(?:\([\w, ]*\))?'*|\\[a-zA-Z]+")


def no_algebra(reference: str, answer: str) -> bool | None:
    """The hole left open."""
    return None


def refusal(reference: str, answer: str) -> str | None:
    """Why an answer is refused whatever it is worth: it names several values where one is asked for, or holds what a
    reader of the formula would not see. None for any other."""
    if len(answer) > LONGEST:
        return None
    if (_HIDING.search(answer) and not _HIDING.search(reference)) or _COMMENT.search(answer):
        return HIDDEN_CONTENT
    text = clean(answer)
    sides = _sides(text)
    if len(sides) > 1:
        if structure(sides[-1]) is not None and any(side == "" or as_number(side) is not None for side in sides[:-1]):
            return SEVERAL_ANSWERS  # 9 = (5, 513)
        numbers = {value for side in sides if (value := as_number(side)) is not None}
        if len(numbers) > 1 and len(_sides(clean(reference))) <= 2 and "%" not in text:
            return SEVERAL_ANSWERS  # 18 = 19
    values = structure(answer)
    if values is None or values.brackets != "" or len({_key(part) for part in values.parts}) < 2:
        return None
    asked = structure(reference)
    if asked is None and quantity(reference) is None and not _single(reference):
        return None
    return SEVERAL_ANSWERS if asked is None else None


def _single(reference: str) -> bool:
    """Whether a reference is one value for sure: a formula without a comma or an `or`, or one letter."""
    text = clean(reference)
    return len(text) == 1 or (hard(text) and "," not in text and not _RELATION.search(text) and is_value(text))


def same_answer(reference: str, answer: str, kind: str = "", scalar: Scalar = no_algebra) -> bool | None:
    """Whether two answers are the same; None where these rules and `scalar` can't tell. `kind` as in `ANSWER_KINDS`."""
    if max(len(reference), len(answer)) > LONGEST:
        if canonical(reference) == canonical(answer):
            return True
        return None if hard(clean(reference)[:LONGEST]) or hard(clean(answer)[:LONGEST]) else False
    return _same(clean(reference), clean(answer), kind, scalar, 0)


def _same(reference: str, answer: str, kind: str, scalar: Scalar, depth: int) -> bool | None:
    if _same_text(reference, answer):
        return True
    if depth > 4 or not reference or not answer:
        return False if depth <= 4 else None
    reference_sides, answer_sides = _sides(reference), _sides(answer)
    if len(answer_sides) > 1 and len(reference_sides) == 1:
        # "x = 5" and "2 + 3 = 5" against 5
        return (
            _same(reference, answer_sides[-1], kind, scalar, depth + 1)
            if structure(answer) is None or structure(reference) is None
            else _lists(reference, answer, kind, scalar, depth)
        )
    if len(reference_sides) == 2 and _LHS.fullmatch(reference_sides[0].strip()):
        if len(answer_sides) == 1:  # 5 against "x = 5"
            return _same(reference_sides[1], answer, kind, scalar, depth + 1)
        if len(answer_sides) == 2 and _same_text(reference_sides[0], answer_sides[0]):
            return _same(reference_sides[1], answer_sides[1], kind, scalar, depth + 1)
    inside = _without_parentheses(reference), _without_parentheses(answer)
    if inside != (reference, answer):
        return _same(inside[0], inside[1], kind, scalar, depth + 1)
    left, right = quantity(reference), quantity(answer)
    if left is not None and right is not None:
        return same_quantity(left, right)
    parts = structure(reference), structure(answer)
    if PLAIN.fullmatch(answer) and parts[1] is None and _of_numbers(left, parts[0]):
        return _plain_text(left, answer)
    if PLAIN.fullmatch(answer) and not hard(reference) and not re.search(r"\d", reference):
        return False  # digits for a word
    if parts != (None, None):
        return _lists(reference, answer, kind, scalar, depth)
    letter, chosen = _CHOICE.fullmatch(reference), _CHOICE.fullmatch(answer)
    if letter and chosen and len(reference) <= 3:
        if letter[1].casefold() == chosen[1].casefold():
            return True
        if kind == "text" or (len(answer) > 1 and answer[1:2] in ").:"):
            return False
    if not hard(reference) and not hard(answer):
        return _words(reference, answer, left is not None, right is not None)
    return scalar(reference, answer)


def _without_parentheses(text: str) -> str:
    """`-5` of `(-5)`."""
    inside = text[1:-1]
    return clean(inside) if text.startswith("(") and text.endswith(")") and split(inside) == [inside.strip()] else text


def _of_numbers(value: Quantity | None, parts: Structure | None) -> bool:
    return value is not None or (parts is not None and all(quantity(part) is not None for part in parts.parts))


def _plain_text(reference: Quantity | None, answer: str) -> bool | None:
    """Digits and operators that are no number and no list, against a number or a list of numbers."""
    try:
        value = worked_out(answer)
    except BrokenError:
        return False  # "637+" and "(86," are no answers to anything
    if value is None or reference is None:
        return None if value is None else False
    return None if value in (reference.value, reference.value / 100) else False  # 3 + 4 for 7 is the task again


def _same_text(reference: str, answer: str) -> bool:
    """Equal but for spaces, and but for case where no formula gives it a meaning."""
    left, right = without_spaces(reference), without_spaces(answer)
    return left == right or (left.casefold() == right.casefold() and not _case_counts(reference))


def _case_counts(text: str) -> bool:
    return bool(re.search(r"[\\^_={}]", text)) and not re.fullmatch(r"[-+\d.]+[eE][-+]?\d+", text)


def _sides(text: str) -> list[str]:
    """The sides of a chain of equations; the text itself where it is none."""
    if "=" not in text or _RELATION.search(text) or _named_parts(text):
        return [text]
    return [side.strip() for side in _EQUALS.split(text)]


def _named_parts(text: str) -> bool:
    """x = 3, y = 5: several equations, no chain."""
    parts = joined_parts(text)
    return parts is not None and len(parts) > 1 and sum("=" in part for part in parts) > 1


def hard(text: str) -> bool:
    """Whether a text holds algebra, so that two different texts may still be one answer."""
    return bool(_SYMBOLIC.search(text) or _VARIABLE.search(text))


def readable(text: str) -> bool:
    """Whether a text is a quantity or a formula, so that rules can hold it against another."""
    text = clean(text)
    return quantity(text) is not None or hard(text)


def _words(reference: str, answer: str, reference_is_number: bool, answer_is_number: bool) -> bool | None:
    """Two texts without any formula. A word more or less leaves it open whether they mean the same."""
    if reference_is_number or answer_is_number:
        numbered, other = (reference, answer) if reference_is_number else (answer, reference)
        value = as_number(numbered)
        found = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", other)
        if not found:  # "eighteen or so" may be 18, "London" is not
            return None if len(_WORD.findall(other)) > 3 else False
        if (
            len(found) == 1
            and value is not None
            and not re.search(r"hundred|thousand|illion|dozen|half|[百千万亿]", other)
        ):
            return None if Fraction(found[0].replace(",", "")) == abs(value) else False
        return None if len(found) <= 1 or any(as_number(one) == value for one in found) else False
    left, right = set(_WORD.findall(reference.casefold())), set(_WORD.findall(answer.casefold()))
    digits = re.findall(r"\d+", reference), re.findall(r"\d+", answer)
    if left and right and digits[0] == digits[1] and (left <= right or right <= left):
        return None
    return False


def _lists(reference: str, answer: str, kind: str, scalar: Scalar, depth: int) -> bool | None:
    """The verdict where at least one of the two has parts."""
    left, right = structure(reference), structure(answer)
    if left is None or right is None:
        single, parts = (reference, right) if left is None else (answer, left)
        assert parts is not None
        if parts.brackets in ("{}", "") and len(parts.parts) == 1:
            return _same(single, clean(parts.parts[0]), "", scalar, depth + 1)
        if parts.brackets == "" and left is None:
            return False if quantity(single) is not None or _single(single) else None
        if quantity(single) is not None and all(quantity(part) is not None for part in parts.parts):
            return False
        return scalar(reference, answer) or None
    if left.columns != right.columns:
        if min(left.columns, right.columns) == 0:
            return None  # a vector as a column or as a tuple
        return False
    if left.brackets == "union" or right.brackets == "union":
        if left.brackets != right.brackets:
            return scalar(reference, answer) or None
        return _matched(left, right, "interval", scalar, depth)
    if left.ordered and right.ordered:
        same = _in_order(left, right, scalar, depth)
        if left.brackets == right.brackets or same is not True:
            return same
        return False if _interval(left, kind) or _interval(right, kind) else None
    if not left.ordered and not right.ordered:
        return _matched(left, right, "", scalar, depth)
    same = _in_order(left, right, scalar, depth)  # (1, 2) against 1, 2: right in the same order, else open
    if "{}" in (left.brackets, right.brackets):
        return None if same is not False or _matched(left, right, "", scalar, depth) is not False else False
    return True if same else None if _matched(left, right, "", scalar, depth) is not False else False


def _interval(values: Structure, kind: str) -> bool:
    """Whether a pair is an interval for sure: half-open, or of that kind."""
    return values.brackets in ("(]", "[)") or kind == "interval"


def _in_order(left: Structure, right: Structure, scalar: Scalar, depth: int) -> bool | None:
    if len(left.parts) != len(right.parts):
        return False
    verdicts: list[bool | None] = []
    for one, other in zip(left.parts, right.parts, strict=True):
        verdicts.append(_same(clean(one), clean(other), "", scalar, depth + 1))
        if verdicts[-1] is False:
            return False
    return None if None in verdicts else True


def _matched(left: Structure, right: Structure, kind: str, scalar: Scalar, depth: int) -> bool | None:
    """Two collections without order: every part of one has its equal in the other. What occurs twice counts once."""
    mine, other = _distinct(left.parts), _distinct(right.parts)
    both = mine.keys() & other.keys()
    rest = [mine[key] for key in mine if key not in both], [other[key] for key in other if key not in both]
    if not rest[0] and not rest[1]:
        return True
    open_pairs = False
    for place in (0, 1):
        against = list((other if place == 0 else mine).values())
        for part in rest[place]:
            pairs = [(part, one) if place == 0 else (one, part) for one in against]
            found = [_same(clean(one), clean(two), kind, scalar, depth + 1) for one, two in pairs]
            if True in found:
                continue
            if None not in found:
                return False
            open_pairs = True
    return None if open_pairs else True


def _distinct(parts: tuple[str, ...]) -> dict[str, str]:
    return {_key(part): part for part in reversed(parts)}


def _key(part: str) -> str:
    part = value_of_assignment(clean(part))
    value = as_number(part)
    return without_spaces(part) if value is None else str(value)
