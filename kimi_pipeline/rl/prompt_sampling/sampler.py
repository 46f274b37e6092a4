"""The sampler of a run: one of the ways to choose prompts, and the success rates that are kept whichever it is.

Belongs here: the choice by `rl.sampling`, state as a whole. Does not belong here: the ways themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rl.prompt_sampling.curriculum import CurriculumSampler
from kimi_pipeline.rl.prompt_sampling.prioritized import PrioritizedSampler
from kimi_pipeline.rl.prompt_sampling.prompts import Prompt
from kimi_pipeline.rl.prompt_sampling.success_rates import SuccessRate, SuccessRates
from kimi_pipeline.rl.prompt_sampling.uniform import UniformSampler


class Strategy(Protocol):
    """A way to choose; `state` is JSON. `notes` are lines for the user, known before the first draw."""

    @property
    def notes(self) -> tuple[str, ...]: ...

    def draw(self, count: int, busy: Collection[str] = ()) -> list[Prompt]: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


class PromptSampler:
    """Chooses the problems of an iteration. Ranks that make the same calls in the same order get the same prompts."""

    def __init__(self, name: str, strategy: Strategy, rates: SuccessRates, notes: Sequence[str] = ()) -> None:
        self.name = name
        self._strategy = strategy
        self._rates = rates
        self._notes = tuple(notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user about this set under these settings."""
        return self._notes + self._strategy.notes

    def draw(self, count: int, busy: Collection[str] = ()) -> list[Prompt]:
        """`count` distinct prompts, or all there are; none of the problems in `busy` (still under way). Once an iteration:
        the curriculum counts its draws."""
        return self._strategy.draw(count, busy)

    def observe(self, problem_id: str, correct: int, total: int) -> None:
        """Tell what came of a problem: `total` responses with a verdict, `correct` of them right, before any shaping.

        Every rank must be told all ranks' observations, in one order. Raises ValueError for counts that can't be.
        """
        self._rates.observe(problem_id, correct, total)

    def rates(self) -> list[SuccessRate]:
        """The success rates of the problems observed in this run, by the order of the set."""
        return self._rates.seen()

    def state(self) -> dict[str, Any]:
        """JSON; with the same prompts, settings and seed all that later draws depend on."""
        return {"sampling": self.name, "strategy": self._strategy.state(), "rates": self._rates.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises UserError where it is of another way to sample, or of other prompts."""
        if state["sampling"] != self.name:
            raise UserError(
                f"rl.sampling is {self.name!r}, but the saved run samples {state['sampling']!r}: set it back, or start anew"
            )
        self._rates.restore(state["rates"])
        self._strategy.restore(state["strategy"])


def prompt_sampler(settings: Rl, prompts: Sequence[Prompt], seed: int) -> PromptSampler:
    """The sampler that the settings choose. Raises UserError for a curriculum without any hard prompt."""
    rates = SuccessRates(prompts, settings.prior_strength, settings.evidence_kept)
    notes = []
    strategy: Strategy
    match settings.sampling:
        case "uniform":
            strategy = UniformSampler(prompts, seed)
        case "curriculum":
            if settings.curriculum_from > settings.iterations:
                notes.append(
                    f"rl.curriculum_from ({settings.curriculum_from}) is beyond rl.iterations ({settings.iterations}): "
                    "sampling stays uniform to the end"
                )
            strategy = CurriculumSampler(
                prompts,
                seed,
                begins=settings.curriculum_from,
                hard_below=settings.hard_below,
                batch=settings.prompts,
            )
        case "prioritized":
            strategy = PrioritizedSampler(
                prompts, seed, rates, floor=settings.priority_floor, patience=settings.unsolved_patience
            )
    return PromptSampler(settings.sampling, strategy, rates, notes)
