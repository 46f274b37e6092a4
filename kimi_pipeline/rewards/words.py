"""Numbers in words: Chinese numerals (十二, 三分之二, 百分之五十) and English ones (eighteen, twenty-one).

Belongs here: their exact values. Does not belong here: digits (`numbers.py`).
"""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"〇": 0, "两": 2, "兩": 2}
_STEPS = {"十": 10, "百": 100, "千": 1000}
_BLOCKS = {"亿": 10**8, "億": 10**8, "万": 10**4, "萬": 10**4}
_CHINESE = re.compile(r"[负負]?[零〇一二两兩三四五六七八九十百千万萬亿億点點分之]+")
_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: value for value, word in enumerate(_SMALL_WORDS.split())}
_TENS = {word: 10 * (place + 2) for place, word in enumerate(_TENS_WORDS.split())}
LONGEST = 40  # characters


def value_of_words(text: str) -> Fraction | None:
    """The value of a text that is one number in words; None for anything else."""
    if len(text) > LONGEST:
        return None
    if _CHINESE.fullmatch(text):
        return _chinese(text)
    return _english(text.casefold())


def _english(text: str) -> Fraction | None:
    """Up to ninety-nine, with or without a minus before it."""
    negative = text.startswith(("minus ", "negative "))
    parts = re.split(r"[- ]", text.partition(" ")[2] if negative else text)
    if len(parts) == 1:
        value = _SMALL.get(parts[0], _TENS.get(parts[0]))
    elif len(parts) == 2 and parts[0] in _TENS and 1 <= _SMALL.get(parts[1], 0) <= 9:
        value = _TENS[parts[0]] + _SMALL[parts[1]]
    else:
        return None
    return None if value is None else Fraction(-value if negative else value)


def _chinese(text: str) -> Fraction | None:
    if text[0] in "负負":
        inner = _chinese(text[1:]) if text[1:] else None
        return None if inner is None else -inner
    if "分之" in text:
        bottom, _, top = text.partition("分之")
        below = Fraction(100) if bottom == "百" else _chinese(bottom) if bottom else None
        above = _chinese(top) if top else None
        return above / below if above is not None and below else None
    whole, point, decimals = text.replace("點", "点").partition("点")
    if "分" in text or "之" in text or not whole:
        return None
    value = _chinese_integer(whole)
    if value is None or not point:
        return None if value is None else Fraction(value)
    if not decimals or any(character not in _DIGITS for character in decimals):
        return None
    return value + Fraction(int("".join(str(_DIGITS[character]) for character in decimals)), 10 ** len(decimals))


def _chinese_integer(text: str) -> int | None:
    """Digits one by one (一二三: 123) or with their powers (一百二十三). None where the order makes no sense."""
    if all(character in _DIGITS for character in text):
        return int("".join(str(_DIGITS[character]) for character in text))
    total, block, digit, step = 0, 0, None, 10**4
    above = 10**12
    for character in text:
        if character in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[character]
        elif character in _STEPS:
            power = _STEPS[character]
            if power >= step or (not digit and not (power == 10 and block == 0)):
                return None
            block, digit, step = block + (digit or 1) * power, None, power
        else:
            power = _BLOCKS.get(character, 0)
            block += digit or 0
            if not power or power >= above or not block:
                return None
            total, block, digit, step, above = total + block * power, 0, None, 10**4, power
    return total + block + (digit or 0)
