"""The family `register`: a register of four digits is turned, swapped and counted up (mathematics).

Belongs here: its states, steps and wording. Does not belong here: how items are drawn and solved (steps.py).
10,000 starts, 8 steps: 80,000 problems of one step, 640,000 of two; 9,000 answers.
"""

from __future__ import annotations

from random import Random

from kimi_pipeline.corpora.families.steps import StepFamily


def draw_digits(rng: Random) -> str:
    """Four digits, leading zeros allowed."""
    return f"{rng.randrange(10_000):04d}"


def slip_digit(state: str, rng: Random) -> str:
    """The state with one digit wrong."""
    place = rng.randrange(len(state))
    digit = (int(state[place]) + rng.randrange(1, 10)) % 10
    return f"{state[:place]}{digit}{state[place + 1 :]}"


def no_leading_zero(answer: str) -> bool:
    """Whether the answer is a number that can be written in one way only."""
    return not answer.startswith("0")


def _raised(state: str, by: int) -> str:
    return "".join(str((int(digit) + by) % 10) for digit in state)


STEPS = {
    "rotate left": lambda s: s[1:] + s[0],
    "rotate right": lambda s: s[-1] + s[:-1],
    "reverse": lambda s: s[::-1],
    "swap ends": lambda s: s[3] + s[1:3] + s[0],
    "swap middle": lambda s: s[0] + s[2] + s[1] + s[3],
    "swap halves": lambda s: s[2:] + s[:2],
    "add one": lambda s: _raised(s, 1),
    "subtract one": lambda s: _raised(s, -1),
}

REGISTER = StepFamily(
    name="register",
    domain="mathematics",
    discipline="arithmetic",
    answer_kind="integer",
    steps=STEPS,
    draw_start=draw_digits,
    slip=slip_digit,
    valid_answer=no_leading_zero,
    wording=(
        ("A register of four wheels, each counting modulo 10, shows {start}", "What number does it show?"),
        ("Four wheels of a register count modulo 10 and read {start}", "Find the number shown now."),
    ),
)
