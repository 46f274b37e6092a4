"""Answers made of parts: tuples, intervals, sets, bare lists, unions and matrices, and how many values a text names.

Belongs here: taking an answer apart. Does not belong here: comparing parts (`rules.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kimi_pipeline.rewards.numbers import clean, number, quantity

LONGEST = 2000  # characters; what is longer is no answer that somebody would read
MOST_PARTS = 200

_OPENING, _CLOSING = "([{", ")]}"
_MATRIX = re.compile(r"\\begin ?\{([bpvBV]?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end ?\{\1\}", re.DOTALL)
_UNION = re.compile(r"\\cup(?![a-zA-Z])|∪")
_LETTERS = re.compile(r"[a-zA-Z]")
_JOINTS = re.compile(
    r"(?:,? ?\\(?:text|mbox|mathrm) ?\{ ?,?(?:or|and) ?\})|,? ?\b(?:or|and)\b|或者?|(?<![一-鿿])和|、|;|\\vee|\\lor(?![a-z])"
)
_PLUS_MINUS = re.compile(r"\\pm(?![a-zA-Z])|±")
_ASSIGNMENT = re.compile(r"[a-zA-Z](?:_\{?\w+\}?)? ?(?:=|\\in(?![a-z])|∈) ?(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Structure:
    """`brackets`: "()", "[)", "{}" and so on, "" for a bare list, "union", "matrix" (`parts` row by row, `columns` wide)."""

    brackets: str
    parts: tuple[str, ...]
    columns: int = 0

    @property
    def ordered(self) -> bool:
        return self.brackets not in ("{}", "", "union")


def plain_braces(text: str) -> str:
    r"""`clean`, with set braces as plain ones. Only after LaTeX arguments are out of the way are the two told apart."""
    return clean(text).replace("\\lbrace", "\\{").replace("\\rbrace", "\\}")


def split(text: str, separator: str = ",") -> list[str] | None:
    """The parts of a text at its own level, outside all brackets; None where brackets don't match."""
    parts, depth, position = [""], 0, 0
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in "{}":
            character = text[position : position + 2]
        depth += {"(": 1, "[": 1, "{": 1, "\\{": 1, ")": -1, "]": -1, "}": -1, "\\}": -1}.get(character, 0)
        if depth < 0:
            return None
        if depth == 0 and text.startswith(separator, position):
            parts.append("")
            position += len(separator)
            continue
        parts[-1] += character
        position += len(character)
    return None if depth else [part.strip() for part in parts]


def structure(text: str) -> Structure | None:
    """The parts of an answer; None for a single value, a sentence, or brackets that don't match."""
    if len(text) > LONGEST:
        return None
    text = plain_braces(text)
    if (assigned := _ASSIGNMENT.fullmatch(text)) and "=" not in assigned[1]:
        return structure(assigned[1])
    if matrix := _MATRIX.fullmatch(text):
        return _matrix(matrix[2])
    if _UNION.search(text) and (pieces := split(_UNION.sub("∪", text), "∪")) and all(pieces):
        return Structure("union", tuple(pieces))
    for opening, closing in (
        ("\\{", "\\}"),
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("\\langle", "\\rangle"),
        ("(", "]"),
        ("[", ")"),
    ):
        if text.startswith(opening) and text.endswith(closing):
            inside = text[len(opening) : -len(closing)]
            parts = split(inside)
            if parts is None:
                continue
            brackets = {"\\{": "{", "\\langle": "("}.get(opening, opening) + {"\\}": "}", "\\rangle": ")"}.get(
                closing, closing
            )
            if brackets == "{}" and number(inside) is None:
                parts = joined_parts(inside) or parts
            if not all(parts) or len(parts) > MOST_PARTS or (len(parts) == 1 and (brackets != "{}" or opening == "{")):
                return None
            return Structure(brackets, tuple(parts))
    return _bare(text)


def _bare(text: str) -> Structure | None:
    """A list without brackets: values with commas, "or" or "and" between them, or a plus-minus. No sentence."""
    parts = joined_parts(text)
    if parts is None:
        return None
    if _PLUS_MINUS.search(text) and len(parts) == 1:
        sides = _PLUS_MINUS.split(text)
        if len(sides) != 2:
            return None
        return Structure(
            "", (f"{sides[0]}+{sides[1]}" if sides[0].strip() else sides[1].strip(), f"{sides[0]}-{sides[1]}")
        )
    if not 2 <= len(parts) <= MOST_PARTS or not all(parts) or quantity(text) is not None:
        return None
    values = [value_of_assignment(part) for part in parts]
    return Structure("", tuple(values)) if all(is_value(value) for value in values) else None


def joined_parts(text: str) -> list[str] | None:
    """The parts of a list without brackets, with commas, "or" or "and" between them; None where brackets don't match."""
    parts = split(_JOINTS.sub(",", text))
    return [part for part in parts if part] if parts else None


def value_of_assignment(text: str) -> str:
    """`5` of `x = 5`; any other text as it is."""
    found = _ASSIGNMENT.fullmatch(text.strip())
    return found[1].strip() if found and "=" not in found[1] and "=" in text else text


def is_value(text: str) -> bool:
    """Whether a part of a list is a value: a number, a formula, a letter; not words of a sentence."""
    if quantity(text) is not None:
        return True
    words = re.findall(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}", re.sub(r"\\[a-zA-Z]+", " ", text))
    return not any(len(word) > 3 for word in words) and bool(re.search(r"[\w\\]", text)) and len(words) < 2


def _matrix(body: str) -> Structure | None:
    rows = [split(row, "&") for row in re.split(r"\\\\(?:\[[^\]]*\])?", body.strip()) if row.strip()]
    if not rows or any(row is None or len(row) != len(rows[0] or []) for row in rows):
        return None
    parts = [part for row in rows for part in row or []]
    return Structure("matrix", tuple(parts), len(rows[0] or [])) if all(parts) else None
