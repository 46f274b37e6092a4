"""Curriculum sampling [2.3.4, figure 9]: uniform over all of D first, then hard problems only.

Belongs here: which problems are hard, and when the second part begins. Does not belong here: how pass rates are measured
(`curation/difficulty.py`).

Hard is a pass rate at or below a threshold; the report gives none. The rates are those that RL starts from, not those it
reaches: the hard part is the same for all of the second part. A problem of unknown rate counts as `UNKNOWN_RATE`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.rl.prompt_sampling.prompts import Prompt
from kimi_pipeline.rl.prompt_sampling.uniform import UniformSampler


class CurriculumSampler:
    """One draw an iteration: uniform until the draw number `begins` (1, 2, ...), from then on hard prompts only.

    Where fewer hard prompts are free than asked for, the others fill up, uniformly; `notes` says so beforehand where the
    hard part is smaller than `batch`. Raises UserError where no prompt is hard: there would be no curriculum.
    """

    def __init__(self, prompts: Sequence[Prompt], seed: int, *, begins: int, hard_below: float, batch: int) -> None:
        usable = [prompt for prompt in prompts if prompt.weight > 0]
        hard = [prompt for prompt in usable if prompt.first_rate <= hard_below]
        if not hard:
            known = sum(prompt.pass_rate is not None for prompt in usable)
            raise UserError(
                f"rl.sampling = 'curriculum': none of the {len(usable)} prompts has a pass rate at or below rl.hard_below "
                f"({hard_below:g}; {known} have one): raise it, or materialise difficulty"
            )
        self._begins = begins
        self._draws = 0
        self._all = UniformSampler(usable, seed)
        self._hard = UniformSampler(hard, seed)
        self._others = UniformSampler([prompt for prompt in usable if prompt.first_rate > hard_below], seed)
        self.notes: tuple[str, ...] = ()
        if len(hard) < min(batch, len(usable)):
            self.notes = (
                f"only {len(hard)} prompts have a pass rate at or below rl.hard_below ({hard_below:g}): from iteration "
                f"{begins} on the others fill each iteration up to rl.prompts ({batch})",
            )

    def draw(self, count: int, busy: Collection[str] = ()) -> list[Prompt]:
        """The next `count` distinct prompts that are not `busy`, or all of those where they are fewer."""
        self._draws += 1
        if self._draws < self._begins:
            return self._all.draw(count, busy)
        hard = self._hard.draw(count, busy)
        return hard + self._others.draw(count - len(hard), busy)

    def state(self) -> dict[str, Any]:
        parts = {"all": self._all, "hard": self._hard, "others": self._others}
        return {"draws": self._draws} | {name: part.state() for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self._draws = int(state["draws"])
        self._all.restore(state["all"])
        self._hard.restore(state["hard"])
        self._others.restore(state["others"])
