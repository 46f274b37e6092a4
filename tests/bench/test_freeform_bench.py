"""Answers in words: the oracle reads each of them, and no rule does."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench.free_form import SLIP, _drawn, in_words, judged
from kimi_pipeline.bench.oracle import meaning
from kimi_pipeline.lake import Lake
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


def test_responses_of_the_same_words_count_each(tmp_path: Path) -> None:
    said = {"right": "\\boxed{3 then 7}", "wrong": "\\boxed{7 then 3}"}
    lake = Lake(tmp_path)
    answer = meaning(said["right"])
    assert answer is not None and meaning(said["wrong"]) != answer
    drawn = [(1, "right", 1.0), (1, "right", 1.0), (1, "right", 0.0), (1, "wrong", 0.0), (2, "wrong", 1.0)]
    keys = [f"s{place}" for place in range(len(drawn))]
    for table, rows in (
        (tables.ROLLOUTS, [{"iteration": at, "policy": "one", "reward": reward} for at, _, reward in drawn]),
        (tables.SAMPLES, [{"text": said[which], "problem_id": "p"} for _, which, _ in drawn]),
        (tables.REWARD_PARTS, [{"part": "cot_rm"}] * 4),
    ):
        lake.append(
            table, [{"sample_id": key} | row for key, row in zip(keys, rows, strict=False)], run_id="r", reason="test"
        )
    found = judged(lake, "one", {"p": answer})
    assert found["true"] == [0.75, 0.0]
    assert found["asked_share"] == 0.8 and found["agreement"] == 0.75
