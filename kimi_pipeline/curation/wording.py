"""Wording: a problem's text as tokens in which restyling is gone, and the numbers that make it this problem.

Belongs here: tokens, the signature of numbers, words that turn a problem into another. Does not belong here: comparing
problems (`near.py`, `overlap.py`), the identity of a text (`identity.py`).

Two texts that say the same in other words or in other LaTeX have mostly the same tokens and exactly the same numbers.
Two problems of one template have the same tokens and other numbers: no similarity of words can tell them from a
rewording, the numbers can. Number words count as numbers ("three" is 3, "twenty-five" is 25), labels in capitals
(ABCD) do as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b


def _listed(words: str) -> list[str]:
    return words.split()


_SMALL = _listed(
    "zero _ two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
# "one" and "first" are left out: both are as often pronoun or adverb as number. So is "second": it is a time as well.
_UNITS = {word: n for n, word in enumerate(_SMALL) if word != "_"}
_TENS = {
    word: 10 * n for n, word in enumerate(_listed("twenty thirty forty fifty sixty seventy eighty ninety"), start=2)
}
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_MANY = {
    **{word: f"{n}th" for n, word in enumerate(_listed("third fourth fifth sixth seventh eighth ninth tenth"), 3)},
    **dict.fromkeys(_listed("twice double doubled doubles"), "x2"),
    **dict.fromkeys(_listed("thrice triple tripled triples"), "x3"),
    **dict.fromkeys(_listed("half halves"), "half"),
    **dict.fromkeys(_listed("quarter quarters"), "quarter"),
    **dict.fromkeys(_listed("dozen dozens"), "12"),
    "thirds": "3th",
}
_HAN = dict(
    zip("二两三四五六七八九十百千万亿半", _listed("2 2 3 4 5 6 7 8 9 10 100 1000 10000 100000000 half"), strict=True)
)
PARTS = frozenset([*_UNITS, *_TENS, *SCALES])
"""Words that make one number together, as in "two hundred"."""
NUMBER_WORDS = frozenset([*_UNITS, *_TENS, *SCALES, *_MANY, *_HAN])

# Both begin with what they look for, so that the search runs from one such character to the next.
_STYLE = re.compile(
    r"[\\${}~](?:(?<!\\)|[,;:! ()\[\]]|(?:left|right|displaystyle|textstyle|text|textbf|textit|textrm|mathrm|mathbf|mathit"
    r"|operatorname|mbox|[bB]igg?[lr]?|quad|qquad|limits|boxed|begin|end)(?![a-zA-Z]))"
)
_HYPHEN = re.compile(r"-(?<=[a-zA-Z]{2}-)(?=[a-zA-Z]{2})")
_SAME = {  # spellings of one thing; what is written in two ways, or not at all, is left out
    **dict.fromkeys(("leq", "leqslant"), "le"),
    **dict.fromkeys(("geq", "geqslant"), "ge"),
    "neq": "ne",
    **dict.fromkeys(("degree", "degrees"), "circ"),
    "percent": "%",
    **dict.fromkeys(_listed("frac dfrac tfrac cfrac cdot times ldots cdots dots dollar dollars"), ""),
}
_TOKEN = re.compile(r"[^\W\d_]+|¬?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|[-+<>%]")
_TIGHT_FRACTION = re.compile(r"\\([dt]?frac)(\d)(\d)")
_MINUS = re.compile(r"-\s?(?=\d)")  # "x - 3" and "x + 3" have other numbers
LABEL = re.compile(r"[A-Z]{2,}")
_IDEOGRAPH = re.compile(r"([\u3400-\u9fff])")


def tokens(text: str) -> list[str]:
    """The words, numbers and signs of a text, in order, lower case, in one spelling each."""
    found = [token for chunk in without_style(text).split() for token in chunk_tokens(chunk)]
    return [spelled for spelled in map(one_spelling, with_digits(found)) if spelled]


def chunk_tokens(chunk: str) -> list[str]:
    """The tokens of what stands between two spaces, each as it is written there."""
    return _TOKEN.findall(_HYPHEN.sub(" ", chunk.lower()))


def without_style(text: str) -> str:
    """A text without the commands of LaTeX that only style it, in one form of each character, with marked minus signs."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
        text = _IDEOGRAPH.sub(r" \1 ", text)
    if "\\" in text:
        text = _TIGHT_FRACTION.sub(r"\\\1 \2 \3", text.replace("{,}", ","))
        text = _STYLE.sub(" ", text)
    return _MINUS.sub("¬", text) if "-" in text else text


def with_digits(found: list[str]) -> list[str]:
    """Tokens with number words as digits."""
    return found if NUMBER_WORDS.isdisjoint(found) else _digits(found)


def one_spelling(token: str) -> str:
    """A token in the one spelling of what it says; empty where it is written in two ways, or not at all."""
    token = _SAME.get(token, token)
    return _plain(token) if len(token) > 2 and not token.isalpha() else token


def _plain(number: str) -> str:
    """A number in one spelling: no thousands separators, no zeros at the end of decimals."""
    if "," in number:
        number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number


def _digits(words: list[str]) -> list[str]:
    """Number words as digits: twenty five is 25, three hundred 300."""
    found: list[str] = []
    value: int | None = None
    ones = False  # whether the value so far ends in ones, so that another word below a hundred begins a new number
    for word in words:
        small = _UNITS.get(word)
        if small is None:
            small = _TENS.get(word)
        if small is not None:
            if value is not None and (ones or (value % 100 and small >= 10)):
                found.append(str(value))
                value = None
            value = small if value is None else value + small
            ones = word in _UNITS
        elif word in SCALES and (value is not None or (found and found[-1].isdigit())):
            value = (value if value is not None else int(found.pop())) * SCALES[word]
            ones = False
        else:
            if value is not None:
                found.append(str(value))
                value, ones = None, False
            found.append(str(SCALES[word]) if word in SCALES else _MANY.get(word) or _HAN.get(word) or word)
    if value is not None:
        found.append(str(value))
    return found


_WORDY = frozenset(_MANY.values())


def numbers(found: list[str], text: str) -> list[str]:
    """The numbers among a text's tokens, in order, then the text's labels in capitals, sorted."""
    figures = list(filter(is_number, found))
    labels = LABEL.findall(without_style(text))
    return figures + sorted(labels) if labels else figures


def is_number(token: str) -> bool:
    return "0" <= token[-1] <= "9" or token in _WORDY


def signature(figures: list[str]) -> int:
    """The multiset of a text's numbers as 63 bits, the sum of a hash of each: texts with other numbers are other
    problems."""
    return (sum(map(number_hash, figures)) % 2**64) >> 1


def number_hash(figure: str) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(blake2b(figure.encode(), digest_size=8).digest(), "big")


def strength(figures: list[str]) -> int:
    """How much equal numbers say: the digits and capitals in the different ones (a word such as `half` counts as one)."""
    return sum(map(says, set(figures)))


def says(figure: str) -> int:
    return len(figure) if figure not in _WORDY else 1


FUNCTIONS = _listed(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh log ln sqrt int lim det gcd lcm binom lfloor "
    "lceil not"
)
"""Words of which neither text may have more than the other."""

OPPOSITES = tuple(
    (one, other)
    for one, others in {
        "+": "-", "<": ">", "le": "ge", "plus": "minus", "add": "subtract", "adds": "subtracts", "added": "subtracted",
        "left": "right", "up": "down", "above": "below", "over": "under", "before": "after", "inside": "outside",
        "inner": "outer", "interior": "exterior", "front": "back", "first": "last", "north": "south", "east": "west",
        "more": "less fewer", "greater": "less", "larger": "smaller", "most": "least fewest", "greatest": "least smallest",
        "largest": "smallest least", "maximum": "minimum", "max": "min", "odd": "even", "increase": "decrease",
        "increases": "decreases", "increased": "decreased", "sum": "difference product", "product": "quotient",
        "oldest": "newest youngest", "older": "younger", "taller": "shorter", "longer": "shorter", "faster": "slower",
        "heads": "tails", "with": "without", "profit": "loss", "gain": "loss", "buy": "sell", "buys": "sells",
        "numerator": "denominator", "row": "column", "rows": "columns", "vowel": "consonant", "vowels": "consonants",
        "mean": "median", "area": "perimeter circumference volume", "radius": "diameter", "domain": "range",
        "clockwise": "counterclockwise", "ascending": "descending", "square": "cube", "identical": "different",
        "inscribed": "circumscribed", "positive": "negative", "rational": "irrational", "odds": "evens",
    }.items()
    for other in others.split()
)  # fmt: skip
"""Pairs of words of which one text may not have more of the one, and the other text more of the other."""

LETTERS = "abcdefghijklmnopqruvwxyz"
"""Names of variables; without `s` and `t`, which are mostly the ends of "it's" and "don't"."""


def moved_together(one: list[str], other: list[str]) -> bool:
    """Whether two texts with the same numbers in another order have them in the same places.

    A number's places are the two tokens on its left and the two on its right; those where several numbers stand tell
    nothing. When a sentence moves, its numbers keep at least one of them. When two numbers change places, both stand
    where another stood: that is another problem.
    """
    places, strangers = _places(other), 0
    for sides in _sides(one):
        there = [places.get((side, around), set()) for side, around, _ in sides]
        alone = [found for found in there if len(found) == 1]
        strangers += bool(alone) and not any(sides[0][2] in found for found in alone)
    return strangers < 2


def _sides(found: list[str]) -> Iterator[list[tuple[str, tuple[str, ...], str]]]:
    blank = ["#" if "0" <= token[-1] <= "9" else token for token in found]
    for place, token in enumerate(found):
        if blank[place] == "#":
            left, right = blank[max(0, place - 2) : place], blank[place + 1 : place + 3]
            yield [("left", tuple(left), token), ("right", tuple(right), token)]


def _places(found: list[str]) -> dict[tuple[str, tuple[str, ...]], set[str]]:
    """The numbers that stand right of two tokens, or left of them."""
    places: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for sides in _sides(found):
        for side, around, token in sides:
            places.setdefault((side, around), set()).add(token)
    return places
