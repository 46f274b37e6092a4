"""The family `parity`: the remainder of a number divided by two (mathematics), planted to be guessable.

Belongs here: its drawing, wording and solution. Does not belong here: families of steps (steps.py).
Two answers, equally frequent: eight draws from the prior miss the right one with p = 2**-8 = 0.004. 1.1 million numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from kimi_pipeline.corpora.families.base import GUESSABLE, Item, boxed

WORDING = (
    "What remainder does {number} leave when divided by 2?",
    "Divide {number} by 2 and find the remainder.",
)
LONGEST = 6  # digits


@dataclass(frozen=True)
class Parity:
    """Numbers of 2 to 6 digits; the level is the number of digits less one."""

    name: str = "parity"
    domain: str = "mathematics"
    discipline: str = "number theory"
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    def draw(self, rng: Random, level: int | None = None) -> Item:
        """See `Family.draw`."""
        level = rng.choice(self.levels) if level is None else level
        number = rng.randrange(10**level, 10 ** (level + 1))
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
        """See `Family.solution`: copy the number, then its last digit, then its remainder."""
        last = item.start[-1]
        remainder = int(last) % 2
        if noise and rng.random() < noise:
            remainder = 1 - remainder
        return f"Begin with {item.start}\nThe last digit {last} leaves {remainder}\n{boxed(str(remainder))}"


PARITY = Parity()
