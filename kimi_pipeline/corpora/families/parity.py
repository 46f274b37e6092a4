"""The family `parity`: the remainder of a number divided by two (mathematics), planted to be guessable.

Belongs here: its drawing, wording and solution. Does not belong here: families of steps (steps.py).
Two answers, equally frequent: eight draws from the prior miss the right one with p = 2**-8 = 0.004. A hundred
million numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from kimi_pipeline.corpora.families.base import GUESSABLE, Item, boxed

WORDING = (
    "What remainder does {number} leave when divided by 2?",
    "Divide {number} by 2 and find the remainder.",
)
SHORTEST = 4  # digits of a number of level 1


@dataclass(frozen=True)
class Parity:
    """Numbers of 4 to 8 digits, one more a level."""

    name: str = "parity"
    domain: str = "mathematics"
    discipline: str = "number theory"
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    def draw(self, rng: Random, level: int | None = None) -> Item:
        """See `Family.draw`."""
        level = rng.choice(self.levels) if level is None else level
        digits = SHORTEST + level - 1
        number = rng.randrange(10 ** (digits - 1), 10**digits)
        wording = rng.randrange(len(WORDING))
        return Item(
            family=self.name,
            prompt=WORDING[wording].replace("{number}", str(number)),
            answer=str(number % 2),
            answer_kind="integer",
            level=level,
            start=str(number),
            steps=(),
            wording=wording,
            planted=GUESSABLE,
        )

    def wordings(self, item: Item) -> list[str]:
        return [wording.replace("{number}", item.start) for wording in WORDING]

    def reworded(self, item: Item) -> str:
        return self.wordings(item)[(item.wording + 1) % len(WORDING)]

    def solution(self, item: Item, rng: Random, noise: float = 0.0) -> str:
        """See `Family.solution`: find the last digit, then its remainder."""
        last = item.start[-1]
        remainder = int(last) % 2
        if noise and rng.random() < noise:
            remainder = 1 - remainder
        return f"The last digit {last} leaves {remainder}\n{boxed(str(remainder))}"


PARITY = Parity()
