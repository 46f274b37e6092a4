"""Plain numbers: integers, decimals, fractions, percentages, numbers in words, with the unit that stands beside them.

Belongs here: an answer in plain characters (`clean`), its exact value, what two quantities say of each other. Does not
belong here: units themselves (`units.py`), lists, algebra.

Everything is exact (`Fraction`); nothing is evaluated but what is written, so that no text costs more than its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from kimi_pipeline.identity import normalise_unicode
from kimi_pipeline.rewards import units
from kimi_pipeline.rewards.words import value_of_words

LONGEST_NUMBER = 1000  # characters; Python itself refuses to read integers beyond 4,300 digits
ROUNDED = 6  # places and significant digits from which on a rounded decimal is the number it was rounded from

_PLAIN = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|[-+]?\.\d+"
_NUMBER = re.compile(_PLAIN)
_LATEX_FRACTION = re.compile(r"([-+]?)\\[dt]?frac\{(-?\d+)\}\{(-?\d+)\}|([-+]?)\\[dt]?frac(\d)(\d)")
_FRACTION = re.compile(r"([-+]?\d+) ?/ ?(\d+)")
_MIXED = re.compile(r"([-+]?)(\d+) ?(?:(?<= )(\d+)/(\d+)|\\[dt]?frac\{(\d+)\}\{(\d+)\})")
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$"), ("**", "**"), ("`", "`"))
_TEXT_WRAPPER = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox) ?\{([^{}]*)\}")
_UNIT = re.compile(r"(?:\\(?:text|mathrm|mbox) ?\{([^{}]*)\}((?:\^\{?\d\}?)?)|\^ ?\{? ?\\circ ?\}?|°)$")
_SPACING = re.compile(r"(?<!\\)\\[,!;: ]|\\quad|\\left(?![a-z])|\\right(?![a-z])|~")
_SCRIPTS = str.maketrans(
    {"⁰": "^0", "¹": "^1", "²": "^2", "³": "^3"} | {chr(0x2070 + n): f"^{n}" for n in range(4, 10)}
)
_SUBSCRIPTS = str.maketrans({chr(0x2080 + n): f"_{n}" for n in range(10)})
_VULGAR = str.maketrans(
    {"½": "\\frac{1}{2}", "⅓": "\\frac{1}{3}", "⅔": "\\frac{2}{3}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}"}
)
_MINUS = str.maketrans({"−": "-", "–": "-", "﹣": "-"})
_BEFORE_WORDS = re.compile(rf"({_PLAIN}|[-+]?\d+ ?/ ?\d+|[-+]?\\[dt]?frac\{{\d+\}}\{{\d+\}}) ?(?=[^\W\d_]|\\text)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as written: its value (before any percent sign), whether a percent sign follows, its unit in the form of
    `units.normal` ("" where there is none), and the places after its decimal point (None: not written as a decimal)."""

    value: Fraction
    percent: bool = False
    unit: str = ""
    places: int | None = None


def clean(text: str) -> str:
    """An answer in plain characters: one kind of space, minus and dollar sign, no LaTeX spacing, no wrappers.

    Superscripts, subscripts and fractions in one character become LaTeX before the Unicode normalisation, which would
    make 52 of 5².
    """
    text = text.translate(_SCRIPTS).translate(_SUBSCRIPTS).translate(_VULGAR)
    text = normalise_unicode(text).translate(_MINUS)
    text = text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%")
    text = _SPACING.sub("", text).strip()
    while (shorter := _unwrapped(text)) != text:
        text = shorter
    return text


def _unwrapped(text: str) -> str:
    text = text.strip()
    if text.endswith((".", "。")) and not text.endswith(".."):
        text = text[:-1].rstrip()
    for opening, closing in _WRAPPERS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            text = text[len(opening) : -len(closing)].strip()
    if whole := _TEXT_WRAPPER.fullmatch(text):
        text = whole[1].strip()
    return text


def canonical(text: str) -> str:
    """The form in which two texts are one answer: cleaned, without case and spaces (but 1 2 is not 12)."""
    return without_spaces(clean(text)).casefold()


def without_spaces(text: str) -> str:
    """No spaces but those between two digits."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text)


def as_number(text: str) -> Fraction | None:
    """The exact value of a plain integer, decimal, fraction, percentage or amount of money; None for anything else."""
    found = number(text)
    return None if found is None else found.value / 100 if found.percent else found.value


def number(text: str) -> Quantity | None:
    """A text that is one number, maybe with a percent sign, a currency or a LaTeX unit; None for anything else."""
    if len(text) > LONGEST_NUMBER:
        return None
    text = clean(text)
    unit = ""
    while found := _UNIT.search(text):
        unit = units.normal((found[1] or "") + (found[2] or "")) if found[1] is not None else "degree"
        text = text[: found.start()].strip()
    percent = text.endswith("%")
    text = clean(text.removesuffix("%"))
    if (currency := units.currency_of(text)) and not unit:
        unit = currency
    text = text.strip(units.CURRENCY_SIGNS + " ") if currency else text
    if text[:1] == "-" and text[1:2] in units.CURRENCY_SIGNS and text[1:2]:
        unit, text = units.currency_of(text[1:]), "-" + text[2:].strip()
    value = fraction(text)
    if value is not None:
        return Quantity(value, percent, unit)
    if _NUMBER.fullmatch(text):
        plain = text.replace(",", "").replace(" ", "").removesuffix(".")
        return Quantity(Fraction(plain), percent, unit, len(plain.partition(".")[2]) if "." in plain else None)
    return None


def quantity(text: str) -> Quantity | None:
    """`number`, or a number in words, or one with a unit in plain words behind it ("18 dollars", "12元"). None too where
    the words change the number ("18 million", "18 or so") or hold another one."""
    found = number(text)
    if found is not None:
        return found
    text = clean(text)
    if len(text) > LONGEST_NUMBER:
        return None
    in_words = value_of_words(text)
    if in_words is not None:
        return Quantity(in_words)
    if (match := _BEFORE_WORDS.match(text)) is None:
        return None
    value, rest = number(match[1]), text[match.end() :].strip()
    if value is None or (unit := units.phrase(rest)) is None:
        return None
    if unit == "percent":
        return Quantity(value.value, True, "", value.places)
    return Quantity(value.value, False, unit, value.places)


def fraction(text: str) -> Fraction | None:
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


def same_quantity(left: Quantity, right: Quantity) -> bool | None:
    """Whether two quantities are the same; None where a missing or an unknown unit leaves it open.

    A unit that one side leaves out is taken to be the other's. 50% is 50 (the percent sign was asked for) and 0.5.
    """
    if left.percent != right.percent:
        whole, share = (left, right) if left.percent else (right, left)
        return share.value in (whole.value, whole.value / 100)
    if left.unit and right.unit and left.unit != right.unit:
        ratio = units.ratio(left.unit, right.unit)
        if ratio is None:  # apples and oranges, or words that are no units
            return None if _equal(left, right) else False
        return left.value * ratio == right.value if ratio else False
    if _equal(left, right):
        return True
    if bool(left.unit) != bool(right.unit):  # 2 against 120 minutes: the reference may speak of hours
        known, bare = (left, right) if left.unit else (right, left)
        return None if any(known.value * ratio == bare.value for ratio in units.ratios(known.unit)) else False
    return False


def _equal(left: Quantity, right: Quantity) -> bool:
    if left.value == right.value:
        return True
    return rounds_to(left, right) or rounds_to(right, left)


def rounds_to(exact: Quantity, decimal: Quantity) -> bool:
    """Whether `decimal` is `exact` (itself no decimal) rounded to at least six places and significant digits."""
    if exact.places is not None or decimal.places is None or decimal.places < ROUNDED or exact.value.denominator == 1:
        return False
    scaled = abs(decimal.value) * 10**decimal.places
    return scaled >= 10 ** (ROUNDED - 1) and abs(exact.value - decimal.value) * 10**decimal.places * 2 <= 1
