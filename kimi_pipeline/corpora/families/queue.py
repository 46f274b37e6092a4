"""The family `queue`: six people in a line change places (general reasoning).

Belongs here: its states, steps and wording. Does not belong here: how items are drawn and solved (steps.py).
20,160 starts (six of eight letters), 8 steps: 161,280 problems of one step; 20,160 answers.
"""

from __future__ import annotations

from random import Random

from kimi_pipeline.corpora.families.steps import StepFamily

PEOPLE = "ABCDEFGH"


def draw_line(rng: Random) -> str:
    """Six different letters in random order."""
    return "".join(rng.sample(PEOPLE, 6))


def slip_neighbours(state: str, rng: Random) -> str:
    """The line with two neighbours confused."""
    place = rng.randrange(len(state) - 1)
    return state[:place] + state[place + 1] + state[place] + state[place + 2 :]


STEPS = {
    "front to back": lambda s: s[1:] + s[0],
    "back to front": lambda s: s[-1] + s[:-1],
    "turn around": lambda s: s[::-1],
    "outer two swap": lambda s: s[5] + s[1:5] + s[0],
    "inner two swap": lambda s: s[:2] + s[3] + s[2] + s[4:],
    "front two swap": lambda s: s[1] + s[0] + s[2:],
    "back two swap": lambda s: s[:4] + s[5] + s[4],
    "halves swap": lambda s: s[3:] + s[:3],
}

QUEUE = StepFamily(
    name="queue",
    domain="general_reasoning",
    discipline="arrangement",
    answer_kind="text",
    steps=STEPS,
    draw_start=draw_line,
    slip=slip_neighbours,
    wording=(
        ("Six people stand in a line, from front to end: {start}", "In what order do they stand?"),
        ("From front to end, a line of six people: {start}", "Find the order in which they stand now."),
    ),
)
