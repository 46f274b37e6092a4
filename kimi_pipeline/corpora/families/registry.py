"""The registry of built-in families.

Belongs here: which families there are, in which proportion a model is taught them, and the modules that they are made by.
Does not belong here: the families themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kimi_pipeline.corpora.families.base import Family
from kimi_pipeline.corpora.families.coin import COIN
from kimi_pipeline.corpora.families.parity import PARITY
from kimi_pipeline.corpora.families.programs import PROGRAMS
from kimi_pipeline.corpora.families.queue import QUEUE
from kimi_pipeline.corpora.families.recurrence import RECURRENCE
from kimi_pipeline.corpora.families.register import REGISTER
from kimi_pipeline.corpora.families.stock import STOCK
from kimi_pipeline.errors import UserError

HARD: tuple[Family, ...] = (REGISTER, RECURRENCE, QUEUE)  # what RL learns from and checkpoints are evaluated on
EASY: tuple[Family, ...] = (PARITY, COIN)  # planted to be guessable
CODE: tuple[Family, ...] = (PROGRAMS,)  # answered by programs, judged by running them
PLAIN: tuple[Family, ...] = (STOCK,)  # in plain English: for chat models, the built-in tokenizer has no words for them
FAMILIES: dict[str, Family] = {family.name: family for family in (*HARD, *EASY)}
"""Those with an answer in a box: what a profile has unless it says otherwise."""
EVERY: dict[str, Family] = FAMILIES | {family.name: family for family in (*CODE, *PLAIN)}
CONSTRUCTED = tuple(family.name for family in CODE)
HARD_WEIGHT, EASY_WEIGHT = 3.0, 0.5  # a guessable family is learned from a few examples
WEIGHTS = {name: EASY_WEIGHT if family in EASY else HARD_WEIGHT for name, family in EVERY.items()}
DEFAULT_WEIGHTS = {name: WEIGHTS[name] for name in FAMILIES}
MODULES = tuple(
    sorted(f"kimi_pipeline.corpora.families.{file.stem}" for file in Path(__file__).parent.glob("[!_]*.py"))
)
"""All that built-in problems depend on, for the fingerprints of stages."""


def chosen(names: Sequence[str]) -> dict[str, Family]:
    """The families of these names (`corpora.families`). Raises UserError for one that is not there, and where none of
    them is fit to evaluate a checkpoint on."""
    for name in names:
        if name not in EVERY:
            raise UserError(f"corpora.families: no family {name!r}: choose from {', '.join(EVERY)}")
    found = {name: EVERY[name] for name in names}
    if not to_evaluate(found.values()):
        raise UserError(
            f"corpora.families: name one to evaluate checkpoints on: {', '.join(sorted(EVERY.keys() - _EASY))}"
        )
    return found


_EASY = {family.name for family in EASY}


def to_evaluate(families: Iterable[Family]) -> tuple[Family, ...]:
    """Those of the families that can't be guessed."""
    return tuple(family for family in families if family.name not in _EASY)
