"""What a judge calls the same output: trailing space and line ends don't count, floats have a tolerance where stated.

Belongs here: normalising and comparing a program's output. Does not belong here: how many programs must agree
(`testcases/rules.py`), the reward (`code.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable


def normalise(output: bytes) -> str | None:
    """The output as a judge reads it; None where it is not UTF-8.

    Line ends become one newline, white space at the end of a line and empty lines at the end of the output go. White space
    at the start of a line stays: it may be part of what is asked for.
    """
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return None
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def comparison(tolerance: float | None) -> Callable[[str, str], bool]:
    """Whether two normalised outputs are the same: (expected, given) -> bool.

    With a tolerance, words are compared one by one: numbers may differ by `tolerance * max(1, |expected|)`, everything
    else must be equal. Infinities and NaN equal themselves by their spelling alone.
    """
    if tolerance is None:
        return lambda expected, given: expected == given

    def same(expected: str, given: str) -> bool:
        if expected == given:
            return True
        wanted, found = expected.split(), given.split()
        return len(wanted) == len(found) and all(map(_same_word(tolerance), wanted, found))

    return same


def _same_word(tolerance: float) -> Callable[[str, str], bool]:
    def same(expected: str, given: str) -> bool:
        if expected == given:
            return True
        try:
            wanted, found = float(expected), float(given)
        except ValueError:
            return False
        return math.isfinite(wanted) and math.isfinite(found) and abs(wanted - found) <= tolerance * max(1, abs(wanted))

    return same
