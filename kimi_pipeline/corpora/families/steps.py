"""Families in one style: a state, a list of numbered steps, and a solution that writes the state after each step.

Belongs here: `StepFamily`, the shared drawing, wording and solving. Does not belong here: which states and steps there
are (register.py, recurrence.py, queue.py, coin.py).

One style for all, so that one tiny model learns them all: a line of the solution is always `WORD STEP gives STATE` and,
with the project's tokenizer, always takes the same number of tokens within a family. The state before a step
therefore stands at the same distance from the state after it in every line, and a step is a copy at fixed offsets
with at most one small change a symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from kimi_pipeline.corpora.families.base import GUESSABLE, NOT_GUESSABLE, Item, Planted, boxed

ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth")

# What noisy solutions hold beside slips; none of them appears in clean ones.
CHECK_SHARE = 0.15  # a step is done again on the next line, which repairs a slip
PLAN_SHARE = 0.3  # a line that lists the steps comes first
RESTATE_SHARE = 0.1  # a line repeats the state


@dataclass(frozen=True)
class StepFamily:
    """A family of problems: from a drawn start, apply up to five named steps, answer with the last state.

    `wording` holds pairs (before, after): the prompt is `before` with the start in place of `{start}` (and a drawn
    detail in place of `{detail}`), one line a step, `after`. `draw_start(rng)` gives a state, `steps[name](state)` the
    next one, `slip(state, rng)` a wrong one. `valid_answer` refuses answers that could be read two ways (a number with
    a leading zero).
    """

    name: str
    domain: str
    discipline: str
    answer_kind: str
    steps: Mapping[str, Callable[[str], str]]
    draw_start: Callable[[Random], str]
    slip: Callable[[str, Random], str]
    wording: tuple[tuple[str, str], ...]
    valid_answer: Callable[[str], bool] = lambda answer: True
    draw_detail: Callable[[Random], str] = lambda rng: ""
    guessable: bool = False
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    def draw(self, rng: Random, level: int | None = None) -> Item:
        """See `Family.draw`. Items whose answer cannot be written without doubt are drawn again."""
        names = tuple(self.steps)
        level = rng.choice(self.levels) if level is None else level
        wording = rng.randrange(len(self.wording))
        detail = self.draw_detail(rng)
        while True:
            start = self.draw_start(rng)
            steps = tuple(rng.choice(names) for _ in range(level))
            answer = self.run(start, steps)
            if self.valid_answer(answer):
                break
        return Item(
            family=self.name,
            prompt=self._prompt(start, steps, detail, wording),
            answer=answer,
            answer_kind=self.answer_kind,
            level=level,
            start=start,
            steps=steps,
            wording=wording,
            planted=self._label(start, answer, level),
            detail=detail,
        )

    def run(self, start: str, steps: tuple[str, ...]) -> str:
        """The state after all steps."""
        for step in steps:
            start = self.steps[step](start)
        return start

    def wordings(self, item: Item) -> list[str]:
        return [self._prompt(item.start, item.steps, item.detail, wording) for wording in range(len(self.wording))]

    def reworded(self, item: Item) -> str:
        return self._prompt(item.start, item.steps, item.detail, (item.wording + 1) % len(self.wording))

    def solution(self, item: Item, rng: Random, noise: float = 0.0) -> str:
        """See `Family.solution`. A check does its step again from the state before, and believes the second result."""
        state = item.start
        lines = []
        if noise and rng.random() < PLAN_SHARE:
            lines.append("Plan:" + ",".join(f" {step}" for step in item.steps))
        lines.append(f"Begin with {state}")
        for ordinal, step in zip(ORDINALS, item.steps, strict=False):
            right = self.steps[step](state)
            state = self.slip(right, rng) if noise and rng.random() < noise else right
            lines.append(f"{ordinal} {step} gives {state}")
            if noise and rng.random() < CHECK_SHARE:
                state = right
                lines.append(f"Again {step} gives {state}")
            elif noise and rng.random() < RESTATE_SHARE:
                lines.append(f"Now no change gives {state}")
        lines.append(boxed(state))
        return "\n".join(lines)

    def within(self, start: str, count: int) -> set[str]:
        """Every state that at most `count` steps can make of `start`."""
        states = {start}
        for _ in range(count):
            states |= {step(state) for state in states for step in self.steps.values()}
        return states

    def _prompt(self, start: str, steps: tuple[str, ...], detail: str, wording: int) -> str:
        before, after = self.wording[wording]
        lines = [f"{ordinal} {step}" for ordinal, step in zip(ORDINALS, steps, strict=False)]
        return "\n".join([before.replace("{start}", start).replace("{detail}", detail), *lines, after])

    def _label(self, start: str, answer: str, level: int) -> Planted | None:
        if self.guessable:
            return GUESSABLE
        if level >= 3 and answer not in self.within(start, 2):
            return NOT_GUESSABLE
        return None
