"""Rule-based reward for mathematics and other problems with one exact answer [2.3.1]: r in {0, 1}.

Belongs here: answer extraction and comparison by rules. Does not belong here: shaping (length, repetition), reward models.
A comparison is plain text, numbers or one normalised form; whatever needs symbolic algebra is `undecided` here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from kimi_pipeline.problems import normalise_for_identity
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status

VERSION = "math-rules@1"

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")
_FRACTION = re.compile(r"^([-+]?)\\?[dt]?frac\{(-?\d+)\}\{(-?\d+)\}$|^([-+]?\d+)\s*/\s*(\d+)$")
_FINAL = re.compile(r"(?:final answer|the answer)\s*(?:is|:)\s*[:=]?\s*([^\n]+)", re.IGNORECASE)
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"), ("\\text{", "}"), ("\\mathrm{", "}"))
_SYMBOLIC = re.compile(r"[\\^_{}]|[a-zA-Z]\s*[-+*/=(]|[-+*/=)]\s*[a-zA-Z]")


def boxed(text: str) -> list[str]:
    r"""The contents of every closed `\boxed{...}`, in order; braces inside may nest."""
    found = []
    for match in re.finditer(r"\\boxed\s*\{", text):
        depth, start = 1, match.end()
        for position in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                found.append(text[start:position])
                break
    return found


def extract_answer(text: str) -> str | None:
    r"""The final answer of a response: the last `\boxed{}`, else what follows `####`, else after "the answer is".

    None where the response gives none. A number that merely stands in the text is not an answer.
    """
    if found := boxed(text):
        return found[-1].strip() or None
    if "####" in text:
        return text.rsplit("####", 1)[1].strip().split("\n")[0].strip() or None
    if finals := _FINAL.findall(text):
        return finals[-1].strip().rstrip(".") or None
    return None


def as_number(text: str) -> Fraction | None:
    """The exact value of a plain integer, decimal, fraction, percentage or amount of money; None for anything else."""
    text = text.strip().rstrip(".").replace("\\$", "").replace("$", "").replace("\\%", "%").replace("\\!", "").strip()
    percent = text.endswith("%")
    text = text.removesuffix("%").strip()
    if match := _FRACTION.match(text):
        sign, top, bottom, plain_top, plain_bottom = match.groups()
        top, bottom = int(top or plain_top), int(bottom or plain_bottom)
        if bottom == 0:
            return None
        value = Fraction(top, bottom) * (-1 if sign == "-" else 1)
    elif _NUMBER.fullmatch(text):
        value = Fraction(text.replace(",", ""))
    else:
        return None
    return value / 100 if percent else value


def canonical(text: str) -> str:
    """An answer without wrappers, spaces and closing stop: the form in which two texts are one answer."""
    text = normalise_for_identity(text).rstrip(".")
    changed = True
    while changed:
        changed = False
        for opening, closing in _WRAPPERS:
            if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
                inner = text[len(opening) : -len(closing)]
                if opening == "\\text{" and "}" in inner:
                    continue
                text, changed = inner.strip(), True
    return re.sub(r"\s+", "", text.replace("\\left", "").replace("\\right", "").replace("\\ ", "")).casefold()


def same_answer(reference: str, answer: str) -> bool | None:
    """Whether two answers are the same; None where these rules can't tell (symbolic forms that differ)."""
    if canonical(reference) == canonical(answer):
        return True
    left, right = as_number(reference), as_number(answer)
    if left is not None and right is not None:
        return left == right
    if left is not None and "%" not in answer:
        # "18 dollars" against 18: one number with words around it is that number; with two there is no telling.
        numbers = _NUMBER.findall(answer)
        if len(numbers) == 1 and not _SYMBOLIC.search(answer):
            return as_number(numbers[0]) == left
    if _SYMBOLIC.search(reference) or _SYMBOLIC.search(answer):
        return None
    return False


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
        if same is None:
            status, reward, reason = Status.UNVERIFIABLE, 0.0, "undecided"
        else:
            status, reward, reason = (Status.CORRECT, 1.0, None) if same else (Status.WRONG, 0.0, None)
        return Breakdown(status, reward, reason, answer, {"correct": reward}, VERSION)
