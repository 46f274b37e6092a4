"""Steps: how many steps of reasoning a problem needs, estimated from its text alone.

Belongs here: the rule's score of a text. Does not belong here: refusing problems by it (`rich_reasoning.py`), a model's
estimate (`model_labels.py`), how often a model solves them (`difficulty.py`), which says far more where there is one.

Long texts with many numbers, variables and conditions need more steps. The four weights are rounded from least squares on half
of GSM8K (the steps of its worked answers) and MATH (its levels); docs/experiments.md has what they reach on the other half.
"""

from __future__ import annotations

import re
from math import log1p

from kimi_pipeline.corpora.options import DRAWING

RULE = "steps@1"
LONGEST_TEXT = 8_000  # characters

_NUMBERS = re.compile(
    r"\d[\d,]*(?:\.\d+)?|\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|dozen|twice|half|double|triple|third"
    r"|quarter)\b|[两二三四五六七八九十]",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\s\u3400-\u9fff]+")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_A_WORD = 1.6
_VARIABLES = re.compile(r"(?<![A-Za-z\\])[a-zA-Z](?![A-Za-z])")
_CONDITIONS = re.compile(
    r"\b(?:such that|where|given|suppose|let|satisf\w+|each|every|all|exactly|at least|at most|distinct|relatively prime"
    r"|integers?|for some|there exists?|expressed?|minimum|maximum|largest|smallest|how many)\b"
    r"|每|设|若|如果|满足|使得|至少|至多|恰好|任意|最大|最小|整数|多少",
    re.IGNORECASE,
)
_WEIGHTS = (1.0, 0.7, 0.4, 0.5)
_NOTHING = 1.9  # what the shortest questions score without any step


def steps_by_rules(prompt: str) -> float:
    """The score, at least 0, in units of a step of GSM8K's worked answers, of which the middle problem has 3."""
    text = DRAWING.sub(" ", prompt[:LONGEST_TEXT])
    counts = (
        len(_NUMBERS.findall(text)),
        len(_WORDS.findall(text)) + len(_HAN.findall(text)) / _HAN_A_WORD,
        len(set(_VARIABLES.findall(text))),
        len(_CONDITIONS.findall(text)),
    )
    return max(0.0, sum(weight * log1p(count) for weight, count in zip(_WEIGHTS, counts, strict=True)) - _NOTHING)
