"""Ways to write an answer: in another form with the same value, and nearly the same value.

Belongs here: forms of integers (digit strings) and of letter strings, small changes to them, units. Does not belong here:
responses and their labels (`cases.py`), reading answers (`rewards/`).

Each form is a pure function of the value, and says no more than the value: what it means is known by construction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Literal

Nature = Literal["digits", "letters", "other"]
Form = Callable[[str], str]

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
UNIT = "cm"
OTHER_UNITS = ("m", "mm", "kg", "s")
POINT = 2  # digits behind the point of a length in m that is whole in cm


def nature(answer: str) -> Nature:
    """What an answer is made of: at most nine digits without a leading zero, two or more capital letters, or else."""
    if re.fullmatch(r"[1-9]\d{0,8}", answer):
        return "digits"
    return "letters" if re.fullmatch(r"[A-Z]{2,12}", answer) else "other"


def _grouped(value: str) -> str:
    return f"{int(value):,}"


def _words(value: str) -> str:
    return " ".join(DIGIT_WORDS[int(digit)] for digit in value)


def _then(value: str) -> str:
    return " then ".join(value)


def _backwards(value: str) -> str:
    return f"from the end {value[::-1]}"


FORMS: Mapping[Nature, Mapping[str, Form]] = {
    "digits": {
        "grouped": _grouped,
        "point": lambda value: f"{value}.0",
        "words": _words,
        "then": _then,
        "backwards": _backwards,
    },
    "letters": {
        "spaced": " ".join,
        "commas": ", ".join,
        "then": _then,
        "backwards": _backwards,
    },
    "other": {},
}
"""Forms by name, beside the plain one. The rules read some of them (grouped, point, spaced); on the others they abstain."""


def other_forms(value: str) -> dict[str, Form]:
    """The forms that write a value otherwise than as it is (`grouped` leaves 128 as it is)."""
    return {name: form for name, form in FORMS[nature(value)].items() if form(value) != value}


def nearly(value: str, rng: Random) -> str | None:
    """Another value that is nearly the same: one symbol changed, two neighbours swapped, one dropped or one more. None for a
    value that is neither digits nor letters."""
    kind = nature(value)
    if kind == "other":
        return None
    while True:
        found = _changed(value, kind, rng)
        if found != value and nature(found) == kind:
            return found


def _changed(value: str, kind: Nature, rng: Random) -> str:
    place = rng.randrange(len(value))
    way = rng.choice(("symbol", "symbol", "swap", "swap", "drop", "more"))
    if way == "swap" and place + 1 < len(value):
        return value[:place] + value[place + 1] + value[place] + value[place + 2 :]
    if way == "drop":
        return value[:place] + value[place + 1 :]
    if way == "more":
        return value[:place] + _symbol(kind, rng) + value[place:]
    symbol = str((int(value[place]) + rng.choice((1, 9))) % 10) if kind == "digits" else _symbol(kind, rng)
    return value[:place] + symbol + value[place + 1 :]


def _symbol(kind: Nature, rng: Random) -> str:
    return str(rng.randrange(10)) if kind == "digits" else rng.choice("ABCDEFGH")


def in_metres(value: str) -> str:
    """A length of `value` cm in m: `4128` is 41.28 m."""
    padded = value.rjust(POINT + 1, "0")
    return f"{padded[:-POINT]}.{padded[-POINT:]} m"


def in_millimetres(value: str) -> str:
    """A length of `value` cm in mm."""
    return f"{value}0 mm"
