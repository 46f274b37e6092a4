"""Built-in families of problems, by seed and with exact answers: what a laptop without any corpus trains and tests on.

The map: base.py says what a family is; steps.py is the style that most share; register.py, recurrence.py (mathematics)
and queue.py (general reasoning) are the families that RL learns from; parity.py and coin.py are planted to be
guessable; programs.py is answered by programs; registry.py lists them; drawing.py draws problems and worked examples
on one side of the held-out split; planted.py writes the corpus with the rows that curation must refuse, which come from
unsuitable.py and malformed.py.

Belongs here: problems that are generated. Does not belong here: reading corpora (`corpora/`), verdicts (`curation/`).
Nothing here imports torch.
"""

from __future__ import annotations

from kimi_pipeline.corpora.families.base import Family, Item, WorkedExample, boxed, to_problem
from kimi_pipeline.corpora.families.drawing import evaluation_problems, items, problems, worked_examples
from kimi_pipeline.corpora.families.planted import builtin_rows
from kimi_pipeline.corpora.families.registry import DEFAULT_WEIGHTS, EASY, EVERY, FAMILIES, HARD

__all__ = [
    "DEFAULT_WEIGHTS",
    "EASY",
    "EVERY",
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
