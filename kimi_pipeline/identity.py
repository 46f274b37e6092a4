r"""Identity: the form in which two texts are the same problem, whatever way they were typed.

Belongs here: Unicode and LaTeX spellings that mean the same. Does not belong here: ids (`problems.py`), near-duplicates
(`curation/`), comparing answers (`rewards/`).

A rule may only merge what reads the same: case, words, punctuation, numbers and signs are kept, so "3 apples" and "5
apples" are two problems, and so are "5²" and "52". White space goes where TeX ignores it, in formulas alone and never
between digits, letters or around a comma between digits ("1, 234" is a list, "1,234" a number).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_TYPOGRAPHY = {
    **dict.fromkeys("\u2212\u2010\u2011\u2013", "-"),  # minus, hyphens, en dash
    **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
    **dict.fromkeys("\u200b\u2060\ufeff\u00ad", ""),  # characters without width
    "×": "\\times ",
    "·": "\\cdot ",
    "÷": "\\div ",
    "≤": "\\le ",
    "≥": "\\ge ",
    "≠": "\\ne ",
    "π": "\\pi ",
    "∞": "\\infty ",
    "°": "^\\circ ",
}

_TOKEN = re.compile(r"\\(?:left|right) ?(?P<null>\.)|\\\\|\\([a-zA-Z]+)\*?|\\(.)|\$\$", re.DOTALL)
_SAME = {
    "dfrac": "\\frac",
    "tfrac": "\\frac",
    "cfrac": "\\frac",
    "dbinom": "\\binom",
    "tbinom": "\\binom",
    "leq": "\\le",
    "leqslant": "\\le",
    "geq": "\\ge",
    "geqslant": "\\ge",
    "neq": "\\ne",
    "lt": "<",
    "gt": ">",
    "to": "\\rightarrow",
    "land": "\\wedge",
    "lor": "\\vee",
    "lbrace": "\\{",
    "rbrace": "\\}",
    "displaystyle": " ",
    "textstyle": " ",
    "limits": " ",
    "quad": " ",
    "qquad": " ",
    "thinspace": " ",
    "nobreakspace": " ",
}
_SIZES = {"left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr"}
_SYMBOLS = {
    ",": " ",
    ";": " ",
    ":": " ",
    " ": " ",
    "\n": " ",
    ">": " ",
    "!": "",
    "(": "$",
    ")": "$",
    "[": "$",
    "]": "$",
}
_SHORT_FRACTION = re.compile(r"\\frac ?(\d) ?(\d)")
_FORMULA = re.compile(r"(?<!\\)\$((?:[^$\\]|\\.)*)\$", re.DOTALL)
_LOOSE = re.compile(r" ?([+=<>^_{}()\[\]|&:/*]) ?| (-) ")
_BEFORE_COMMAND = re.compile(r" (?=\\)")
_AFTER_COMMAND = re.compile(r"(\\[a-zA-Z]+) (?=[^a-zA-Z])")


def normalise_unicode(text: str) -> str:
    """NFKC, one space for any white space, none at the ends; what NFKC would make another number of is spelt out first.

    "5²" becomes "5^2" and "½" "\\frac{1}{2}" (NFKC alone gives "52" and "1⁄2").
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_SPELT_OUT))
    return " ".join(text.split())


def normalise_for_identity(text: str) -> str:
    """The form in which two texts are the same problem. Normalising it once more changes nothing."""
    text = _characters(text)
    if "\\" not in text and "$" not in text:
        return text
    while (again := _characters(_latex(text))) != text:
        text = again
    return text


def _characters(text: str) -> str:
    if text.isascii():
        return normalise_unicode(text)
    typography = _typography()  # before NFKC, which composes what widthless characters keep apart; and what it makes
    return " ".join(normalise_unicode(text.translate(typography)).translate(typography).split())


def _latex(text: str) -> str:
    text = _TOKEN.sub(_token, text).replace("~", " ") if "\\" in text or "$$" in text else text
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", " ".join(text.split()))
    return _FORMULA.sub(_formula, text).strip()


def _token(match: re.Match[str]) -> str:
    whole, null, command, symbol = match[0], match[1], match[2], match[3]
    if null:
        return " "
    following = match.string[match.end() : match.end() + 1]
    if command in _SIZES and following and not following.isalnum():
        return ""  # \left( is (; what follows is a delimiter
    if command is not None:
        same = _SAME.get(command)
        if same is None or whole.endswith("*"):
            return whole
        # a command must not run into the letters behind it, nor its replacement into the command before it
        return f"{same} " if same.startswith("\\") and following.isalpha() else same
    if symbol == "!" and following.isalpha():
        return " "
    if symbol is not None:
        return _SYMBOLS.get(symbol, whole)
    return "$" if whole == "$$" else whole


def _formula(match: re.Match[str]) -> str:
    inside = _LOOSE.sub(lambda found: found[1] or found[2], _BEFORE_COMMAND.sub("", match[1]))
    tight = _AFTER_COMMAND.sub(r"\1", inside).strip()
    return f"${tight}$"


@cache
def _typography() -> dict[int, str]:
    return {ord(character): same for character, same in _TYPOGRAPHY.items()}


class _SpeltOut(dict[int, str]):
    """Characters whose compatibility form would run together with the digits beside them, each looked up when it is first
    met: going through all of Unicode takes longer than most processes have to do with texts."""

    def __missing__(self, code: int) -> str:
        self[code] = spelt = _spell_out(chr(code))
        return spelt


_SPELT_OUT = _SpeltOut()


def _spell_out(character: str) -> str:
    kind, _, rest = unicodedata.decomposition(character).partition(" ")
    plain = unicodedata.normalize("NFKC", character)
    if kind == "<super>":
        return f"^{plain}"
    if kind == "<sub>":
        return f"_{plain}"
    if kind == "<fraction>":
        top, _, bottom = plain.partition("\u2044")
        return f"\\frac{{{top}}}{{{bottom}}}"
    if kind == "<circle>":
        return f"({plain})"
    if kind == "<compat>" and rest.endswith("002E"):
        return f"{plain} "
    return character
