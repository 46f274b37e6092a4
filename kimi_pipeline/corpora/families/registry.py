"""The registry of built-in families.

Belongs here: which families there are and in which proportion a model is taught them. Does not belong here: the
families themselves.
"""

from __future__ import annotations

from kimi_pipeline.corpora.families.base import Family
from kimi_pipeline.corpora.families.coin import COIN
from kimi_pipeline.corpora.families.parity import PARITY
from kimi_pipeline.corpora.families.queue import QUEUE
from kimi_pipeline.corpora.families.recurrence import RECURRENCE
from kimi_pipeline.corpora.families.register import REGISTER

HARD: tuple[Family, ...] = (REGISTER, RECURRENCE, QUEUE)  # what RL learns from and checkpoints are evaluated on
EASY: tuple[Family, ...] = (PARITY, COIN)  # planted to be guessable
FAMILIES: dict[str, Family] = {family.name: family for family in (*HARD, *EASY)}
DEFAULT_WEIGHTS = {"register": 3.0, "recurrence": 3.0, "queue": 3.0, "parity": 0.5, "coin": 0.5}
