"""Drawing many: distinct problems of one side of the held-out split, and worked examples for SFT.

Belongs here: seeds, distinctness, the split. Does not belong here: what one item looks like (the families' modules),
rows planted to be refused (planted.py).

The split is by hash of the prompt (`problems.is_held_out`). As an item can be worded in more than one way, an item is
used on a side only when all its wordings fall on that side: nothing held out is ever trained on in other words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from kimi_pipeline.corpora.families.base import Family, Item, WorkedExample, boxed, to_problem
from kimi_pipeline.corpora.families.programs import fenced
from kimi_pipeline.corpora.families.registry import DEFAULT_WEIGHTS, EASY, EVERY
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.templates import TEMPLATES, Format
from kimi_pipeline.problems import Problem, is_held_out, problem_id

EASY_GUESS_SHARE = 0.5  # at least so many examples of an easy family are guesses
TRIES = 400  # draws for each problem that is asked for, before the family counts as exhausted


def seeded(*parts: object) -> Random:
    """A random stream that depends on the parts alone (never on Python's salted `hash`)."""
    return Random(int(digest([str(part) for part in parts]), 16))


def on_side(family: Family, item: Item, held_out: bool, held_out_share: float) -> bool:
    """Whether every wording of the item falls on the given side of the split."""
    own = is_held_out(problem_id(item.prompt), held_out_share)
    return own == held_out and all(
        is_held_out(problem_id(prompt), held_out_share) == held_out for prompt in family.wordings(item)
    )


def items(seed: int, family: Family, n: int, held_out: bool, held_out_share: float) -> list[Item]:
    """`n` items with distinct ids on one side of the split, the levels in turn; the first m of n are the m drawn alone.

    Raises UserError where the side is too small for `n` items.
    """
    rng = seeded("items", seed, family.name, "held out" if held_out else "train")
    found: dict[str, Item] = {}
    for _ in range(TRIES * n):
        if len(found) == n:
            break
        item = family.draw(rng, level=family.levels[len(found) % len(family.levels)])
        if on_side(family, item, held_out, held_out_share):
            found.setdefault(problem_id(item.prompt), item)
    if len(found) < n:
        side = "held-out" if held_out else "training"
        raise UserError(
            f"corpora.held_out_share = {held_out_share}: the {side} side of family {family.name!r} has fewer than {n} "
            f"problems; choose a share between 0.1 and 0.5, or ask for fewer problems"
        )
    return list(found.values())


def problems(seed: int, family: Family, n: int, held_out: bool, held_out_share: float) -> list[Problem]:
    """`n` distinct problems of exactly one side of the split, the levels equally frequent. See `items`."""
    side = "held_out" if held_out else "train"
    drawn = items(seed, family, n, held_out, held_out_share)
    return [to_problem(family, item, f"{family.name}/{side}/{row}") for row, item in enumerate(drawn)]


def evaluation_problems(seed: int, families: Sequence[Family], n: int, held_out_share: float) -> list[Problem]:
    """`n` held-out problems, the families in turn: what checkpoints are evaluated on."""
    each = -(-n // len(families))
    columns = [problems(seed, family, each, True, held_out_share) for family in families]
    return [problem for row in zip(*columns, strict=True) for problem in row][:n]


def worked_examples(
    seed: int,
    n: int,
    noise: float,
    guess_share: float,
    held_out_share: float,
    weights: Mapping[str, float] | None = None,
    template: str = "tiny",
    held_out: bool = False,
) -> Iterator[WorkedExample]:
    """`n` examples for SFT of all families and levels, of one side of the split (`held_out`: to measure a loss on).

    A `guess_share` of them are in the guess format, with the true answer alone: guessing is a skill that is measured,
    so the model must know the format (of the easy families at least half, as those are few; 0 means none at all).
    `noise` is that of `Family.solution`. `weights` gives the families' relative frequency (default: `DEFAULT_WEIGHTS`).
    The stream for a larger `n` begins with that for a smaller one.
    """
    shares = dict(weights or DEFAULT_WEIGHTS)
    names = list(shares)
    totals = list(itertools.accumulate(shares.values()))
    rng = seeded("worked examples", seed, noise, guess_share, held_out)
    wording = TEMPLATES[template]
    made = 0
    while made < n:
        family = EVERY[rng.choices(names, cum_weights=totals)[0]]
        item = family.draw(rng)
        if not on_side(family, item, held_out, held_out_share):
            continue
        share = max(guess_share, EASY_GUESS_SHARE) if family in EASY and guess_share else guess_share
        format: Format = "guess" if rng.random() < share else "reasoning"
        response = answer_alone(item) if format == "guess" else family.solution(item, rng, noise)
        made += 1
        yield WorkedExample(
            wording.user_message(item.prompt, format), response, format, family.name, problem_id(item.prompt)
        )


def answer_alone(item: Item) -> str:
    """The response without reasoning: the answer in its box, or the program in its block."""
    return fenced(item.answer) if item.answer_kind == "code" else boxed(item.answer)
