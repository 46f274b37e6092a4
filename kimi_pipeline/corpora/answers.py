r"""Reference answers: the final answer inside what a source gives, and the kind of thing it is.

Belongs here: the formats in which corpora write reference answers, and their kinds by form. Does not belong here:
finding the answer in a model's response (`rewards/extraction.py`), comparing two answers (`rewards/`).
"""

from __future__ import annotations

import re

from kimi_pipeline.rewards.extraction import boxed
from kimi_pipeline.rewards.numbers import as_number

_PLAIN_INTEGER = re.compile(r"-?\d{1,15}")
_LAST_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?")
_SAID = re.compile(r"\bthe (?:final )?answer is:?\s*(.+?)\s*\.?\s*$", re.IGNORECASE)
LONGEST_SHORT = 200  # a text of one line and so few characters is itself the answer


def final_answer(text: str, answer_format: str = "auto") -> str | None:
    r"""The reference answer inside a worked solution; None where the format asks for a mark that is not there.

    `hashes`: after the last `####` (GSM8K). `boxed`: the last `\boxed{}` with content. `last_number`: the last number.
    `whole`: as given. `auto`: after `####`, else the last box, else what a long text says in its last line as "the
    answer is", else as given.
    """
    found: str | None
    if answer_format == "whole":
        return text.strip()
    if answer_format == "last_number":
        numbers = _LAST_NUMBER.findall(text)
        return numbers[-1] if numbers else None
    if answer_format in ("auto", "hashes") and "####" in text:
        found = text.rsplit("####", 1)[1].strip().split("\n")[0].strip()
        if found or answer_format == "hashes":
            return found or None
    if answer_format == "hashes":
        return None
    boxes = [content.strip() for content in boxed(text) if content.strip()] if "\\boxed" in text else []
    if boxes or answer_format == "boxed":
        return boxes[-1] if boxes else None
    text = text.strip()
    if len(text) > LONGEST_SHORT or "\n" in text:
        said = _SAID.search(text.rsplit("\n", 1)[-1])
        if said:
            return said[1]
    return text


_DELIMITED = re.compile(r"^\$+(.*?)\$+$|^\\\((.*)\\\)$|^\\\[(.*)\\\]$", re.DOTALL)
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])")
_SPACING = re.compile(r"\\[,;:! ]|\s+")
_UNION = re.compile(r"\\cup(?![a-z])|∪")
_BRACKETED = re.compile(r"^[(\[](.+)[)\]]$", re.DOTALL)
_PROGRAM = re.compile(
    r"^```|^\s*(?:def |class |import |from \w+ import |#include|public class |int main\b)", re.MULTILINE
)
_ALGEBRA = re.compile(r"[\\^_=+*/<>√π∞±]|\d\s*-|-\s*\d|\d\s*[a-zA-Z](?![a-zA-Z])|\b[a-zA-Z]\s*-\s*[a-zA-Z]\b|^-?[a-z]$")
_WORDS = re.compile(r"\\(?:text|mbox|textbf|mathrm)\s*\{[^{}]*\}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_LONG_WORD = re.compile(r"[a-zA-Z]{3,}")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "lim", "max", "min", "mod", "gcd", "lcm", "sqrt"}
_INFINITY = ("\\infty", "∞", "inf")


def answer_kind(answer: str) -> str:
    """One of `problems.ANSWER_KINDS`, from the answer's form.

    A bare list of numbers ("-1, 3") is a set: its order does not count. "(2, 5)" is a tuple, since nothing in it says
    that it is an interval; with a square bracket, an infinite end or a union it is one.
    """
    if not answer.strip():
        return "none"
    if _PLAIN_INTEGER.fullmatch(answer):
        return "integer"
    if "\n" in answer.strip() and _PROGRAM.search(answer):
        return "code"
    number = as_number(answer)
    if number is not None:
        if "." in answer.strip().rstrip(".") or "%" in answer:
            return "real"
        return "integer" if number.denominator == 1 and "/" not in answer and "frac" not in answer else "rational"
    text = answer.strip()
    if found := _DELIMITED.match(text):
        text = next(part for part in found.groups() if part is not None)
    text = _SPACING.sub(" ", _SIZES.sub("", text)).strip()
    if re.search(r"\\begin\{[bpvBV]?(?:small)?matrix\}|\\begin\{array\}", text):
        return "matrix"
    if re.match(r"\\\{|\{(?!\\)", text) or text in ("\\emptyset", "\\varnothing", "∅"):
        return "set"
    if (bracketed := _bracketed(text)) is not None:
        return bracketed
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and all(as_number(part) is not None for part in parts):
        return "set"
    return "expression" if _is_algebra(text) else "text"


def _bracketed(text: str) -> str | None:
    """`interval` or `tuple` for what stands in one pair of brackets, or in several joined by unions."""
    pieces = _UNION.split(text)
    if len(pieces) > 1 and all(_BRACKETED.match(piece.strip()) for piece in pieces):
        return "interval"
    found = _BRACKETED.match(text)
    if found is None:
        return None
    depth, commas = 0, 0
    for character in found[1]:
        depth += character in "([{"
        depth -= character in ")]}"
        if depth < 0:  # (a)(b): two brackets side by side
            return None
        commas += character == "," and depth == 0
    if commas == 0:
        return None
    mixed = text[0] != "(" or text[-1] != ")"
    if commas == 1 and (mixed or any(sign in found[1] for sign in _INFINITY)):
        return "interval"
    return "tuple"


def _is_algebra(text: str) -> bool:
    bare = _WORDS.sub("", text)
    words = _LONG_WORD.findall(_COMMAND.sub("", bare))
    return all(word in _FUNCTIONS for word in words) and bool(_ALGEBRA.search(bare))
