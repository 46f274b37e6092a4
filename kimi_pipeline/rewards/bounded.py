"""Formulas that parser and algebra work out at once for sure, told by their text alone.

Belongs here: the forms that can grow (powers, factorials, nesting, length). Does not belong here: limits that are measured
(`worker.py`), numbers of a parsed tree (`symbolic.py`).

A whitelist: whatever is not known to be small is not called so, and costs a question to a worker. Curation asks it of
every reference, so that only a strange one starts a worker at all.
"""

from __future__ import annotations

import re

from kimi_pipeline.rewards.numbers import clean

LONGEST = 200  # characters
DEEPEST = 6  # brackets within brackets
LONGEST_DIGITS = 30
MOST_POWERS_OF_SUMS = 2

_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "frac dfrac tfrac sqrt cdot times div left right pm mp pi theta alpha beta gamma phi infty emptyset varnothing "
        "le ge leq geq lt gt ne neq approx equiv in cup cap lfloor rfloor lceil rceil circ degree quad qquad displaystyle "
        "text mathrm mbox textbf mathbf mathbb begin end matrix pmatrix bmatrix vmatrix "
        "sin cos tan cot sec csc arcsin arccos arctan log ln",
    )
)
_POWER = re.compile(r"\^")
_EXPONENT = re.compile(
    r"\^ ?(?:[a-zA-Z\d*]|\\circ|\{ ?(?:\\circ|-?\d{1,2}|[-+]?\d{0,2}[a-zA-Z](?:[-+]\d{1,2})?"
    r"|-?\d{1,2}/\d{1,2}|-?\\[dt]?frac\{\d{1,2}\}\{\d{1,2}\}) ?\})(?! ?\^)"
)
_POWER_OF_SUM = re.compile(r"[)}\]] ?\^ ?(?:\{ ?-?(\d+)|(\d))")
_GROWS = re.compile(rf"!|\*\*|\d[eE][-+]?\d|\d{{{LONGEST_DIGITS + 1}}}|\.\.\.|…")


def surely_small(formula: str) -> bool:
    """Whether reading and comparing a formula can't take long, nor much memory. False says nothing."""
    text = clean(formula) if len(formula) <= LONGEST else formula
    if len(text) > LONGEST or _GROWS.search(text) or _depth(text) > DEEPEST:
        return False
    if not all(name in _SMALL or len(name) == 1 for name in _COMMAND.findall(text)):
        return False
    if len(_POWER.findall(text)) != len(_EXPONENT.findall(text)):
        return False
    of_sums = [int(one or other) for one, other in _POWER_OF_SUM.findall(text)]
    return len(of_sums) <= MOST_POWERS_OF_SUMS and all(exponent < 10 for exponent in of_sums)


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest
