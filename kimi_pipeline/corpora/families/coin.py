"""The family `coin`: a coin is turned over or left (general reasoning), planted to be guessable.

Belongs here: its states, steps and wording. Does not belong here: how items are drawn and solved (steps.py).
Two answers, equally frequent: eight draws from the prior miss the right one with p = 2**-8 = 0.004.
The coin's year has no bearing on the answer: it makes many distinct prompts.
"""

from __future__ import annotations

from kimi_pipeline.corpora.families.steps import StepFamily

SIDES = ("heads", "tails")


def _turned(side: str) -> str:
    return SIDES[1 - SIDES.index(side)]


STEPS = {
    "turn it over": _turned,
    "leave it": lambda side: side,
    "turn it twice": lambda side: side,
    "turn it thrice": _turned,
    "slide it aside": lambda side: side,
}

COIN = StepFamily(
    name="coin",
    domain="general_reasoning",
    discipline="tracking",
    answer_kind="text",
    steps=STEPS,
    draw_start=lambda rng: rng.choice(SIDES),
    slip=lambda side, rng: _turned(side),
    draw_detail=lambda rng: str(rng.randrange(1000, 3000)),
    guessable=True,
    wording=(
        ("A coin of the year {detail} shows {start}", "Which side is up?"),
        ("On a table, a coin of the year {detail} shows {start}", "Find the side that is up now."),
    ),
)
