"""Built-in families of problems, by seed and with exact answers: what a laptop without any corpus trains and tests on.

The map: base.py says what a family is; steps.py is the style that most share; register.py, recurrence.py (mathematics)
and queue.py (general reasoning) are the families that RL learns from; parity.py and coin.py are planted to be
guessable; drawing.py draws problems and worked examples on one side of the held-out split; planted.py writes the
corpus with the rows that curation must refuse, which come from unsuitable.py and malformed.py.

Belongs here: problems that are generated. Does not belong here: reading corpora (`corpora/`), verdicts (`curation/`).
Nothing here imports torch.
"""

from __future__ import annotations

from kimi_pipeline.corpora.families.base import Family, Item, WorkedExample, boxed, to_problem
from kimi_pipeline.corpora.families.coin import COIN
from kimi_pipeline.corpora.families.drawing import evaluation_problems, items, problems, worked_examples
from kimi_pipeline.corpora.families.parity import PARITY
from kimi_pipeline.corpora.families.planted import builtin_rows
from kimi_pipeline.corpora.families.queue import QUEUE
from kimi_pipeline.corpora.families.recurrence import RECURRENCE
from kimi_pipeline.corpora.families.register import REGISTER

HARD: tuple[Family, ...] = (REGISTER, RECURRENCE, QUEUE)  # what RL learns from and checkpoints are evaluated on
EASY: tuple[Family, ...] = (PARITY, COIN)  # planted to be guessable
FAMILIES: dict[str, Family] = {family.name: family for family in (*HARD, *EASY)}
DEFAULT_WEIGHTS = {"register": 3.0, "recurrence": 3.0, "queue": 3.0, "parity": 0.5, "coin": 0.5}

__all__ = [
    "DEFAULT_WEIGHTS",
    "EASY",
    "FAMILIES",
    "HARD",
    "Family",
    "Item",
    "WorkedExample",
    "boxed",
    "builtin_rows",
    "evaluation_problems",
    "items",
    "problems",
    "to_problem",
    "worked_examples",
]
