"""The family `recurrence`: a sequence of digits goes on, each new digit made from one of the last four (mathematics).

Belongs here: its steps and wording. Does not belong here: how items are drawn and solved (steps.py).
10,000 starts, 6 steps: 60,000 problems of one step, 360,000 of two; 9,000 answers. (Sums of two earlier digits were
tried: alone, after 6,000 examples and 25 CPU-seconds, a tiny model had 3 % right, where these steps had 91 %.)
"""

from __future__ import annotations

from collections.abc import Callable

from kimi_pipeline.corpora.families.register import draw_digits, no_leading_zero, slip_digit
from kimi_pipeline.corpora.families.steps import StepFamily


def _append(place: int, plus: int) -> Callable[[str], str]:
    """The last four digits after one more: the digit at `place` (0 the oldest, 3 the newest) plus `plus` modulo 10."""
    return lambda s: s[1:] + str((int(s[place]) + plus) % 10)


STEPS = {
    "repeat the oldest": _append(0, 0),
    "oldest plus one": _append(0, 1),
    "oldest minus one": _append(0, -1),
    "repeat the newest": _append(3, 0),
    "newest plus one": _append(3, 1),
    "newest minus one": _append(3, -1),
}

RECURRENCE = StepFamily(
    name="recurrence",
    domain="mathematics",
    discipline="sequences",
    answer_kind="integer",
    steps=STEPS,
    draw_start=draw_digits,
    slip=slip_digit,
    valid_answer=no_leading_zero,
    wording=(
        ("Each step makes a digit modulo 10 of the last four, which are {start}", "What are the last four digits?"),
        ("The last four digits are {start}, each step makes one more modulo 10", "Find the last four digits."),
    ),
)
