"""The family `recurrence`: digits are continued, each new one a sum of two of the last four (mathematics).

Belongs here: its steps and wording. Does not belong here: how items are drawn and solved (steps.py).
10,000 starts, 4 steps; the rule changes from step to step, so that 160,000 problems have two steps; 9,000 answers.
"""

from __future__ import annotations

from collections.abc import Callable

from kimi_pipeline.corpora.families.register import draw_digits, no_leading_zero, slip_digit
from kimi_pipeline.corpora.families.steps import StepFamily


def _append_sum(one: int, other: int) -> Callable[[str], str]:
    return lambda s: s[1:] + str((int(s[one]) + int(s[other])) % 10)


STEPS = {
    "add the ends": _append_sum(0, 3),
    "add the first two": _append_sum(0, 1),
    "add the middle two": _append_sum(1, 2),
    "add the last two": _append_sum(2, 3),
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
        ("A sequence of digits ends in {start}, each step appends a sum modulo 10", "What are the last four digits?"),
        ("Each step appends a sum modulo 10 to a sequence of digits with end {start}", "Find the last four digits."),
    ),
)
