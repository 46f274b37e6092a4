"""Decisions that depend on a set's thresholds: difficulty and guessability.

Belongs here: pure functions from a problem's figures to a verdict with a reason. Does not belong here: tables
(`selection.py`), who gets a place (`choosing.py`), estimates (`difficulty.py`, `guessability.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from kimi_pipeline.curation.recipe import Recipe
from kimi_pipeline.reasons import Reason

KEPT = {
    Reason.SOLVABLE,
    Reason.UNSOLVED,
    Reason.NOT_GUESSED,
    Reason.NOT_FILTERED,
    Reason.SELECTED,
    Reason.KEPT_BY_PERSON,
}
"""Reasons of a set's decisions that keep a problem in."""
HARD_BELOW, EASY_ABOVE = 0.3, 0.7


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a problem. `n` samples had a verdict, `cut` of them by ending at max_tokens; `hit_at` is the guess
    that was right (None: none)."""

    problem_id: str
    domain: str
    n: int
    correct: int
    hit_at: int | None
    cut: int = 0

    @property
    def pass_rate(self) -> float:
        return self.correct / self.n if self.n else 0.0


def decide_difficulty(figures: Figures, recipe: Recipe) -> Reason:
    """Thresholds on the pass rate [2.1]. Unsolved problems (no sample right) are kept where the recipe says so."""
    assert recipe.min_pass_rate is not None and recipe.max_pass_rate is not None, "recipe.in_force(profile) first"
    if figures.n == 0:
        return Reason.NO_VERDICT
    if figures.pass_rate >= recipe.max_pass_rate:
        return Reason.TRIVIAL
    if figures.correct == 0 and recipe.keep_unsolved:
        return Reason.UNSOLVED
    if figures.correct == 0 and 2 * figures.cut > figures.n:
        return Reason.CUT_SHORT  # the answers had no room: that says little about the problem
    return Reason.HOPELESS if figures.pass_rate <= recipe.min_pass_rate else Reason.SOLVABLE


def decide_guessability(figures: Figures) -> Reason:
    """Right at least once in the allowed guesses, and the prompt goes [2.1]; a mean does not count."""
    return Reason.EASY_TO_HACK if figures.hit_at is not None else Reason.NOT_GUESSED


def bucket(pass_rate: float) -> str:
    """The difficulty bucket: unsolved, hard, medium or easy."""
    if pass_rate == 0:
        return "unsolved"
    return "hard" if pass_rate < HARD_BELOW else "easy" if pass_rate > EASY_ABOVE else "medium"
