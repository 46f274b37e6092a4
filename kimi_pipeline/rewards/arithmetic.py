"""Sums, products and quotients of plain numbers, worked out exactly.

Belongs here: telling a well-formed one from a broken one. Does not belong here: powers, roots, letters (`symbolic.py`).

Such an answer is the task again and not its result; and what a half-trained policy prints is often a broken one. Both are
told apart here, without a worker.
"""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

PLAIN = re.compile(r"[\d\s().,+\-=*/\[\]]+")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([-+*/()]))")
_DEEPEST = 40


class BrokenError(ValueError):
    """The text is no well-formed arithmetic."""


def worked_out(text: str) -> Fraction | None:
    """The value of a text of `PLAIN` characters; None where it depends on a convention (2(3), a division by zero) or is
    too deep to say. Raises BrokenError for what is no arithmetic at all."""
    tokens: list[str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BrokenError(text[:80])
        tokens.append(found[1] or found[2])
        position = found.end()
    depth = deepest = 0
    for one, following in zip(tokens, [*tokens[1:], ""], strict=True):
        depth += (one == "(") - (one == ")")
        deepest = max(deepest, depth)
        if depth < 0 or (one == "(" and following == ")"):
            raise BrokenError(text[:80])
        if one[-1].isdigit() and following[-1:].isdigit():
            raise BrokenError(text[:80])  # 1 2
    if depth or not tokens:
        raise BrokenError(text[:80])
    if deepest > _DEEPEST or any(
        (one[-1].isdigit() or one == ")") and (following == "(" or (one == ")" and following[:1].isdigit()))
        for one, following in itertools.pairwise(tokens)
    ):
        return None
    try:
        value, rest = _sum(tokens, 0)
    except ZeroDivisionError:
        return None
    if rest != len(tokens):
        raise BrokenError(text[:80])
    return value


def _sum(tokens: list[str], place: int) -> tuple[Fraction, int]:
    value, place = _product(tokens, place)
    while place < len(tokens) and tokens[place] in "+-":
        other, after = _product(tokens, place + 1)
        value, place = (value + other if tokens[place] == "+" else value - other), after
    return value, place


def _product(tokens: list[str], place: int) -> tuple[Fraction, int]:
    value, place = _factor(tokens, place)
    while place < len(tokens) and tokens[place] in "*/":
        other, after = _factor(tokens, place + 1)
        value, place = (value * other if tokens[place] == "*" else value / other), after
    return value, place


def _factor(tokens: list[str], place: int) -> tuple[Fraction, int]:
    if place >= len(tokens):
        raise BrokenError("it ends too soon")
    token = tokens[place]
    if token in "+-":
        if tokens[place + 1 : place + 2] in (["+"], ["-"]):
            raise BrokenError("two signs")
        value, place = _factor(tokens, place + 1)
        return (-value if token == "-" else value), place
    if token == "(":
        value, place = _sum(tokens, place + 1)
        if tokens[place : place + 1] != [")"]:
            raise BrokenError("brackets")
        return value, place + 1
    if token in "*/)":
        raise BrokenError(token)
    return Fraction(token), place + 1
