"""A reward with shapings on top: base reward plus parts, each recorded by its name.

Belongs here: adding up, and which shapings are in force in an iteration. Does not belong here: any rule or formula.

The verdict stays the base reward's: pass rates, success rates and groups without signal are counted by `status`, which no
shaping touches. A response without a verdict (`reward` None) has no part either, and the others are shaped as if it were
not there: a group's length reward is over those that count in its baseline. An unverifiable response has a reward (0), so
it counts: else a long answer that no rule can decide would escape the length reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Reward
from kimi_pipeline.rewards.length import LengthShaping
from kimi_pipeline.rewards.random_reward import RandomReward
from kimi_pipeline.rewards.repetition import RepetitionShaping


class Shaping(Protocol):
    """What is added to the reward of each response of a group, all of which have a verdict. `version` holds the settings."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def score(self, group: Sequence[Response], verdicts: Sequence[Breakdown]) -> list[float]: ...


class ShapedReward:
    """A `Reward`: `base`, plus what each of `shapings` adds. `Breakdown.parts` gains one entry a shaping, with its sign and
    weight, so that the reward is the base reward plus those entries."""

    def __init__(self, base: Reward, shapings: Sequence[Shaping]) -> None:
        self._base = base
        self._shapings = tuple(shapings)
        self.version = self._joined(base.version)

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k]: the base reward's breakdowns, shaped. Raises ValueError where the base answers with another number."""
        verdicts = self._base.score(reference, group)
        if len(verdicts) != len(group):
            raise ValueError(f"{self._base.version} gave {len(verdicts)} breakdowns for {len(group)} responses")
        places = [place for place, verdict in enumerate(verdicts) if verdict.reward is not None]
        judged = [group[place] for place in places]
        found = [verdicts[place] for place in places]
        added = {shaping.name: shaping.score(judged, found) for shaping in self._shapings}
        shaped = list(verdicts)
        for number, place in enumerate(places):
            base = verdicts[place]
            assert base.reward is not None
            parts = {name: values[number] for name, values in added.items()}
            shaped[place] = replace(
                base,
                reward=base.reward + sum(parts.values()),
                parts=base.parts | parts,
                rule_version=self._joined(base.rule_version or self._base.version),
            )
        return shaped

    def _joined(self, base: str) -> str:
        return "+".join([base, *(shaping.version for shaping in self._shapings)])


def shaped(base: Reward, settings: Rl, iteration: int) -> Reward:
    """The reward of iteration 1, 2, ...: `base` itself where no shaping is in force.

    The length reward's warm-up [2.3.3] is none before iteration `length_from`, then the whole weight to the end.
    """
    shapings: list[Shaping] = []
    if settings.length_weight and iteration >= settings.length_from:
        shapings.append(LengthShaping(settings.length_weight))
    if settings.repetition_penalty:
        shapings.append(RepetitionShaping(settings.repetition_penalty))
    return ShapedReward(base, shapings) if shapings else base


def reward_of(judge: Reward, settings: Rl, seed: int, iteration: int) -> Reward:
    """The reward that iteration 1, 2, ... trains on: `judge` (rules, or the composite of `by_kind.py`) or the control in its
    place (`rl.reward`), then `shaped`."""
    base = RandomReward(judge, seed, iteration) if settings.reward == "random" else judge
    return shaped(base, settings, iteration)


def reward_note(settings: Rl) -> str:
    """What must stand beside every figure of a run that is a control; empty where it is none."""
    return "a control: its reward is a coin flip (rl.reward = random)" if settings.reward == "random" else ""


def shaping_notes(settings: Rl) -> tuple[str, ...]:
    """Lines for the user about settings that will have no effect."""
    if settings.length_weight and settings.length_from > settings.iterations:
        return (
            f"rl.length_from ({settings.length_from}) is beyond rl.iterations ({settings.iterations}): this run has no "
            "length reward",
        )
    return ()
