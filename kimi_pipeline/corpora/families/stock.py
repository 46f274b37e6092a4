"""The family `stock`: what a shop has left after up to five sales and deliveries, told in plain English (mathematics).

Belongs here: its numbers, its wording, its solutions. Does not belong here: how many are drawn and for whom (`drawing.py`).
For models that already read and reckon: a small chat model gets a part of them right, and a step moves less than ten boxes.
(The other families are for a model that knows nothing; after a short SFT such a chat model had 1 % of them right.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from kimi_pipeline.corpora.families.base import Item, boxed

WORDING = (
    ("A shop has {start} boxes.", "How many boxes does the shop have now?"),
    ("There are {start} boxes in a shop.", "How many boxes are in the shop at the end?"),
)
SALE, DELIVERY = "Then it sells {moved}.", "Then it gets {moved} more."
FEWEST, MOST = 20, 99  # boxes at the start
SMALLEST, LARGEST = 2, 9  # boxes that are moved at once
CHECK_SHARE = 0.15  # of a noisy solution's steps: it is done again on the next line, which repairs a slip


@dataclass(frozen=True)
class Stock:
    """A shop's boxes; `Item.steps` holds what is added in each step ("-12", "+30")."""

    name: str = "stock"
    domain: str = "mathematics"
    discipline: str = "arithmetic"
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    def draw(self, rng: Random, level: int | None = None) -> Item:
        """See `Family.draw`. No label: an answer is one of some hundred, likelier ones among them."""
        level = rng.choice(self.levels) if level is None else level
        wording = rng.randrange(len(WORDING))
        start = has = rng.randint(FEWEST, MOST)
        steps = []
        for _ in range(level):
            sells = has > SMALLEST and rng.random() < 0.5
            moved = rng.randint(SMALLEST, min(LARGEST, has - 1) if sells else LARGEST)
            steps.append(f"{-moved if sells else moved:+d}")
            has += int(steps[-1])
        prompt = _told(str(start), steps, wording)
        return Item(self.name, prompt, str(has), "integer", level, str(start), tuple(steps), wording, planted=None)

    def wordings(self, item: Item) -> list[str]:
        return [_told(item.start, item.steps, wording) for wording in range(len(WORDING))]

    def reworded(self, item: Item) -> str:
        return _told(item.start, item.steps, (item.wording + 1) % len(WORDING))

    def solution(self, item: Item, rng: Random, noise: float = 0.0) -> str:
        """See `Family.solution`."""
        *lines, has = self._reckoned(item, rng, noise)
        return "\n".join([*lines, boxed(has)])

    def _reckoned(self, item: Item, rng: Random, noise: float) -> Iterator[str]:
        """The lines of the solution, then what is left."""
        has = int(item.start)
        for step in item.steps:
            right = has + int(step)
            slips = noise and rng.random() < noise
            found = right + rng.choice((-10, -1, 1, 10)) if slips else right
            sign, moved = step[0], step[1:]
            yield f"{has} {sign} {moved} = {found}"
            if noise and rng.random() < CHECK_SHARE:
                found = right
                yield f"Again {has} {sign} {moved} = {found}"
            has = found
        yield str(has)


def _told(start: str, steps: list[str] | tuple[str, ...], wording: int) -> str:
    before, after = WORDING[wording]
    moves = [(SALE if step[0] == "-" else DELIVERY).format(moved=step[1:]) for step in steps]
    return " ".join([before.format(start=start), *moves, after])


STOCK = Stock()
