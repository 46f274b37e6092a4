"""The control: a fair coin that knows nothing of the response, the same one when it is asked again."""

from __future__ import annotations

import random

import pytest

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.composite import reward_note, reward_of
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.random_reward import RandomReward

RANDOM = Rl(reward="random")


def problem(name: str) -> Reference:
    return Reference(name, "5", "integer")


def group(*right: bool, tokens: int = 10) -> list[Response]:
    return [Response(f"so \\boxed{{{5 if one else 6}}}", tokens) for one in right]


def coins(reward: RandomReward, problems: int, members: list[Response]) -> list[float]:
    found = [one.reward for n in range(problems) for one in reward.score(problem(f"p{n}"), members)]
    assert {None}.isdisjoint(found)
    return [float(value) for value in found if value is not None]


def test_fair_and_independent_of_the_verdict() -> None:
    flips = coins(RandomReward(MathReward(), 0, 1), 500, group(True, False, True, False))
    heads = {right: sum(flips[place::2]) for place, right in ((0, True), (1, False))}
    # 1,000 flips each: five standard deviations are 79; fixed seed, so the outcome never changes.
    assert all(abs(count - 500) < 79 for count in heads.values())
    assert set(flips) == {0.0, 1.0}


def test_the_same_flips_again_and_others_with_another_seed_or_iteration() -> None:
    members = group(*[True] * 8)
    first = coins(RandomReward(MathReward(), 3, 7), 20, members)
    # The texts don't matter, nor does when it is asked: what is scored again after a kill is scored alike.
    assert coins(RandomReward(MathReward(), 3, 7), 20, group(*[False] * 8, tokens=99)) == first
    assert coins(RandomReward(MathReward(), 4, 7), 20, members) != first
    assert coins(RandomReward(MathReward(), 3, 8), 20, members) != first


def test_the_verdict_stays_so_that_pass_rates_are_true() -> None:
    members = group(True, False)
    plain = MathReward().score(problem("p"), members)
    found = RandomReward(MathReward(), 0, 1).score(problem("p"), members)
    assert [(one.status, one.extracted_answer) for one in found] == [
        (one.status, one.extracted_answer) for one in plain
    ]
    assert all(one.parts == {"coin": one.reward} for one in found)


def test_what_is_excluded_stays_excluded() -> None:
    class Broken:
        version = "broken@1"

        def score(self, reference: Reference, group: list[Response]) -> list[Breakdown]:
            return [Breakdown(Status.INFRASTRUCTURE_ERROR, None, "down") for _ in group]

    found = RandomReward(Broken(), 0, 1).score(problem("p"), group(True, True))  # type: ignore[arg-type]
    assert [(one.status, one.reward) for one in found] == [(Status.INFRASTRUCTURE_ERROR, None)] * 2


def test_chosen_by_the_setting_and_shaped_like_the_rules() -> None:
    rng = random.Random(0)
    members = [Response("so \\boxed{5}", rng.randrange(10, 50)) for _ in range(8)]
    settings = Rl(reward="random", length_weight=0.2, length_from=2)
    for iteration in (1, 2):
        plain = RandomReward(MathReward(), 5, iteration).score(problem("p"), members)
        found = reward_of(MathReward(), settings, 5, iteration).score(problem("p"), members)
        for before, after in zip(plain, found, strict=True):
            assert before.reward is not None
            assert after.reward == pytest.approx(before.reward + after.parts.get("length", 0.0))
        assert any(one.parts.get("length") for one in found) == (iteration == 2)
    assert reward_of(MathReward(), Rl(), 5, 1).version == MathReward().version


def test_a_control_says_that_it_is_one() -> None:
    assert reward_note(Rl()) == ""
    assert "control" in reward_note(RANDOM)
