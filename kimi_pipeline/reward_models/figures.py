"""How good a reward model is: accuracy in all and by category, calibration, what majority voting brings.

Belongs here: formulas on judgements. Does not belong here: judging, plots' looks (`plots.py`).

A judgement without a verdict counts as an error here: in RL it is worth 0, right or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kimi_pipeline.intervals import wilson

BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A held-out example: its category, its truth, the model's verdict (None: none) and its probability of correct."""

    category: str
    correct: bool
    judged_correct: bool | None
    probability: float | None

    @property
    def right(self) -> bool:
        return self.judged_correct == self.correct


def accuracy(judged: Sequence[Judged]) -> dict[str, float]:
    """Share of right judgements with its 95 % interval, and what went wrong: `false_correct` of the wrong responses,
    `false_wrong` of the correct ones, `no_verdict` of all."""
    right = sum(one.right for one in judged)
    low, high = wilson(right, len(judged))
    wrong = [one for one in judged if not one.correct]
    correct = [one for one in judged if one.correct]
    return {
        "accuracy": right / max(1, len(judged)),
        "low": low,
        "high": high,
        "false_correct": sum(one.judged_correct is True for one in wrong) / max(1, len(wrong)),
        "false_wrong": sum(one.judged_correct is False for one in correct) / max(1, len(correct)),
        "no_verdict": sum(one.judged_correct is None for one in judged) / max(1, len(judged)),
        "n": len(judged),
    }


def by_category(judged: Sequence[Judged]) -> dict[str, float]:
    """Accuracy a category."""
    names = sorted({one.category for one in judged})
    return {name: accuracy([one for one in judged if one.category == name])["accuracy"] for name in names}


@dataclass(frozen=True, slots=True)
class Bin:
    """Judgements of about one probability: its mean, the share that is correct, how many."""

    probability: float
    correct: float
    n: int


def reliability(judged: Sequence[Judged], bins: int = BINS) -> list[Bin]:
    """Bins of equal width over the probability, the empty ones left out."""
    groups: dict[int, list[Judged]] = {}
    for one in judged:
        if one.probability is not None:
            groups.setdefault(min(bins - 1, int(one.probability * bins)), []).append(one)
    return [
        Bin(
            sum(one.probability or 0.0 for one in own) / len(own),
            sum(one.correct for one in own) / len(own),
            len(own),
        )
        for _, own in sorted(groups.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: mean gap of probability and share, weighted by the bins' sizes."""
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.probability - one.correct) for one in bins) / max(1, total)


def compared(classic: Sequence[Judged], cot: Mapping[int, Sequence[Judged]]) -> dict[str, float]:
    """The figures that people look at: accuracy of the Classic RM, of the Chain-of-Thought RM by its number of votes, the
    difference, calibration errors. Needs at least one number of votes."""
    most = max(cot)
    found = {"classic_accuracy": accuracy(classic)["accuracy"]}
    for votes, judged in sorted(cot.items()):
        found[f"cot_accuracy_{votes}_votes"] = accuracy(judged)["accuracy"]
    found["cot_above_classic"] = found[f"cot_accuracy_{most}_votes"] - found["classic_accuracy"]
    found["classic_calibration_error"] = calibration_error(reliability(classic))
    found["cot_calibration_error"] = calibration_error(reliability(cot[most]))
    return {name: round(value, 4) for name, value in found.items()}
