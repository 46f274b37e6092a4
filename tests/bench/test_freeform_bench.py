"""Answers in words: the oracle reads each of them, and no rule does."""

from __future__ import annotations

from random import Random

import pytest

from kimi_pipeline.bench.free_form import SLIP, _drawn, in_words
from kimi_pipeline.bench.oracle import meaning
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.rules import FREE_FORM


@pytest.mark.parametrize(("seed", "held_out"), [(100, False), (100, True), (200, False)])
def test_the_oracle_reads_what_rules_do_not(seed: int, held_out: bool) -> None:
    rng, reward = Random(0), MathReward()
    abstained = 0
    for family, item in _drawn(seed, 200, held_out):
        response = in_words(item, family, rng, noise=0.0)
        assert meaning(response) == item.answer
        assert meaning(in_words(item, family, rng, SLIP)) is not None  # also where a slip leads to a zero ahead
        (verdict,) = reward.score(Reference("p", item.answer, FREE_FORM), [Response(response, 40, True)])
        abstained += verdict.status is Status.UNVERIFIABLE
    assert abstained == 200
