"""Rule-based reward for mathematics and other problems with one exact answer [2.3.1]: r in {0, 1}.

Belongs here: the verdict on a response, comparison of two answers by rules. Does not belong here: finding the answer in
a response (`extraction.py`), shaping (length, repetition), reward models, symbolic algebra.

A comparison is plain text, numbers, or lists of those; whatever needs symbolic algebra is `undecided` here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from kimi_pipeline.problems import normalise_for_identity
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.extraction import boxed, extract_answer

__all__ = ["VERSION", "MathReward", "as_number", "boxed", "canonical", "extract_answer", "same_answer"]

VERSION = "math-rules@1"
LONGEST_NUMBER = 1000  # characters; Python itself refuses to read integers beyond 4,300 digits

_PLAIN = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|[-+]?\.\d+"
_NUMBER = re.compile(_PLAIN)
_LATEX_FRACTION = re.compile(r"([-+]?)\\[dt]?frac\{(-?\d+)\}\{(-?\d+)\}|([-+]?)\\[dt]?frac(\d)(\d)")
_FRACTION = re.compile(r"([-+]?\d+) ?/ ?(\d+)")
_MIXED = re.compile(r"([-+]?)(\d+) ?(?:(?<= )(\d+)/(\d+)|\\[dt]?frac\{(\d+)\}\{(\d+)\})")
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"), ("**", "**"), ("`", "`"))
_TEXT_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox) ?\{([^{}]*)\}")
_UNIT = re.compile(r"(?:\\(?:text|mathrm|mbox) ?\{[^{}]*\}(?:\^\{?\d\}?)?|\^ ?\{? ?\\circ ?\}?|°)$")
_SPACING = re.compile(r"\\[,!;: ]|\\quad|\\left(?![a-z])|\\right(?![a-z])|~")
_SCRIPTS = str.maketrans(
    {"⁰": "^0", "¹": "^1", "²": "^2", "³": "^3"} | {chr(0x2070 + n): f"^{n}" for n in range(4, 10)}
)
_SUBSCRIPTS = str.maketrans({chr(0x2080 + n): f"_{n}" for n in range(10)})
_VULGAR = str.maketrans(
    {"½": "\\frac{1}{2}", "⅓": "\\frac{1}{3}", "⅔": "\\frac{2}{3}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}"}
)
_SYMBOLIC = re.compile(r"[\\^_{}<>≤≥≠]|[a-zA-Z]\s*[-+*/=(]|[-+*/=)]\s*[a-zA-Z]|[\d)]\s*[+*×·÷]\s*[\d(]")
_VARIABLE = re.compile(r"\d\s*[a-zA-Z](?![a-zA-Z])|(?<![a-zA-Z])[a-zA-Z]\s*\d")  # 18x is not 18
_SEVERAL = re.compile(r"[,;<>≤≥≠]|\\[lgn]eq?(?![a-z])|\b(?:or|and)\b")
_LETTERS = re.compile(r"[a-zA-Z]")


def clean(text: str) -> str:
    """An answer in plain characters: one kind of space, minus and dollar sign, no LaTeX spacing, no wrappers.

    Superscripts, subscripts and fractions in one character become LaTeX before the Unicode normalisation, which would
    make 52 of 5².
    """
    text = text.translate(_SCRIPTS).translate(_SUBSCRIPTS).translate(_VULGAR)
    text = normalise_for_identity(text).replace("−", "-").replace("{,}", ",").replace("\\$", "$").replace("\\%", "%")
    text = _SPACING.sub("", text).strip()
    while (shorter := _unwrapped(text)) != text:
        text = shorter
    return text


def _unwrapped(text: str) -> str:
    text = text.strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    for opening, closing in _WRAPPERS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            text = text[len(opening) : -len(closing)].strip()
    if whole := _TEXT_WRAPPER.fullmatch(text):
        text = whole[1].strip()
    return text


def canonical(text: str) -> str:
    """The form in which two texts are one answer: cleaned, without case and spaces (but 1 2 is not 12)."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", clean(text)).casefold()


def as_number(text: str) -> Fraction | None:
    """The exact value of a plain integer, decimal, fraction, percentage or amount of money; None for anything else."""
    value, percent = _value(text)
    return value / 100 if value is not None and percent else value


def _value(text: str) -> tuple[Fraction | None, bool]:
    """The number that a text is, as written, and whether a percent sign follows it."""
    if len(text) > LONGEST_NUMBER:
        return None, False
    text = clean(text)
    while (shorter := _UNIT.sub("", text).strip()) != text:
        text = shorter
    percent = text.endswith("%")
    text = clean(text.removesuffix("%")).replace("$", "").strip()
    value = _fraction(text)
    if value is None and _NUMBER.fullmatch(text):
        value = Fraction(text.replace(",", "").replace(" ", "").removesuffix("."))
    return value, percent and value is not None


def _fraction(text: str) -> Fraction | None:
    """The value of a fraction or mixed number, in plain text or LaTeX; None for anything else."""
    sign, whole = "", 0
    if found := _LATEX_FRACTION.fullmatch(text):
        sign, top, bottom = (found[1], found[2], found[3]) if found[2] else (found[4], found[5], found[6])
    elif found := _FRACTION.fullmatch(text):
        top, bottom = found[1], found[2]
    elif found := _MIXED.fullmatch(text):
        sign, whole, top, bottom = found[1], int(found[2]), found[3] or found[5], found[4] or found[6]
    else:
        return None
    if int(bottom) == 0:
        return None
    value = whole + Fraction(int(top), int(bottom))
    return -value if sign == "-" else value


def same_answer(reference: str, answer: str) -> bool | None:
    """Whether two answers are the same; None where these rules can't tell (symbolic forms that differ)."""
    if canonical(reference) == canonical(answer):
        return True
    if "=" in answer and "=" not in reference and not _SEVERAL.search(answer):
        answer = answer.rpartition("=")[2]  # "x = 5" and "2 + 3 = 5" against 5
        if canonical(reference) == canonical(answer):
            return True
    (left, left_percent), (right, right_percent) = _value(reference), _value(answer)
    if left is not None and right is not None:
        if left_percent == right_percent:
            return left == right
        # "50%" against 50 (the percent sign was asked for) and against 0.5.
        whole, share = (left, right) if left_percent else (right, left)
        return share in (whole, whole / 100)
    if (lists := _same_list(reference, answer)) is not None:
        return lists[0]
    if left is not None and not left_percent and "%" not in answer and not _hard(plain := clean(answer)):
        # "18 dollars" against 18: one number with words around it is that number; with two there is no telling.
        numbers = _NUMBER.findall(plain)
        if len(numbers) == 1:
            return as_number(numbers[0]) == left
    return None if _hard(clean(reference)) or _hard(clean(answer)) else False


def _hard(text: str) -> bool:
    """Whether a text holds algebra, so that two different texts may still be one answer."""
    return bool(_SYMBOLIC.search(text) or _VARIABLE.search(text))


def _same_list(reference: str, answer: str) -> tuple[bool | None] | None:
    """The verdict on two tuples, intervals, sets or lists, part by part; None where they are no such things."""
    left, right = _parts(reference), _parts(answer)
    if left is None or right is None:
        return None
    (left_brackets, left_parts), (right_brackets, right_parts) = left, right
    if left_brackets != right_brackets:
        return (None,)
    if len(left_parts) != len(right_parts):
        return (False,)
    if left_brackets in ("{}", ""):  # order does not count in a set; in a bare list it rarely does
        values = sorted(map(_key, left_parts)), sorted(map(_key, right_parts))
        return (True,) if values[0] == values[1] else (_decided(left_parts, right_parts),)
    verdicts = [same_answer(*pair) for pair in zip(left_parts, right_parts, strict=True)]
    return (False,) if False in verdicts else (None,) if None in verdicts else (True,)


def _key(part: str) -> str:
    value = as_number(part)
    return canonical(part) if value is None else str(value)


def _decided(left: Sequence[str], right: Sequence[str]) -> bool | None:
    """False where every part is a number, so that two sets surely differ; else there is no telling."""
    return False if all(as_number(part) is not None for part in [*left, *right]) else None


def _parts(text: str) -> tuple[str, list[str]] | None:
    """The brackets and the parts of a tuple, interval, set or bare list of at least two; None for anything else."""
    text = clean(text).replace("\\{", "{").replace("\\}", "}")
    if len(text) > LONGEST_NUMBER or "," not in text:
        return None
    brackets = ""
    if text[:1] in "([{" and text[-1:] in ")]}":
        brackets, text = text[0] + text[-1], text[1:-1]
    elif _LETTERS.search(text):
        return None  # a sentence with a comma
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    parts = [part.strip() for part in parts]
    return (brackets, parts) if len(parts) > 1 and all(parts) and depth == 0 else None


class MathReward:
    """r = 1 for the reference's answer, else 0; a response cut before its end has given no answer."""

    version = VERSION

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        return [self._score(reference, response) for response in group]

    def _score(self, reference: Reference, response: Response) -> Breakdown:
        answer = extract_answer(response.text) if response.finished else None
        if answer is None:
            return Breakdown(Status.NO_ANSWER, 0.0, parts={"correct": 0.0}, rule_version=VERSION)
        same = same_answer(reference.answer, answer)
        status = {True: Status.CORRECT, False: Status.WRONG, None: Status.UNVERIFIABLE}[same]
        reward = 1.0 if same else 0.0
        reason = "undecided" if same is None else None
        return Breakdown(status, reward, reason, answer, {"correct": reward}, VERSION)
