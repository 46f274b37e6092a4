"""The replay of adaptive sampling: hand-worked streams, and recorded ones out of a lake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from kimi_pipeline import tables
from kimi_pipeline.bench.adaptive import Streams, made_up, play, recorded
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.stages import Context

TOTAL = 4
NAMES = tuple(tuple("all" if right == n else "some" for right in range(n + 1)) for n in range(TOTAL + 1))
FLAT = tuple(tuple("" for _ in row) for row in NAMES)
RULE = StoppingRule(TOTAL, 2, 0.02, 0.08, NAMES, FLAT)


def test_shares_of_hand_worked_streams() -> None:
    """One wrong answer settles "always right": a problem that errs first takes 2 of 4, one that never errs takes more."""
    errs = Streams({"a": "", "b": ""}, {"a": [False, True, True, True], "b": [False] * 4})
    assert play(errs, RULE) == {"spared": 0.5, "decision_agreement": 1.0, "bucket_agreement": 1.0}
    blind = dataclasses.replace(RULE, decision_risk=0.999, bucket_risk=0.999)  # stops however much is open
    late = Streams({"a": ""}, {"a": [True, True, True, False]})
    assert play(late, blind) == {"spared": 0.5, "decision_agreement": 0.0, "bucket_agreement": 1.0}


def test_seeds_draw_other_streams_and_the_same_again() -> None:
    one = made_up(lambda rng: rng.random(), 10, seed=0, problems=20)
    assert one == made_up(lambda rng: rng.random(), 10, seed=0, problems=20)
    assert one != made_up(lambda rng: rng.random(), 10, seed=1, problems=20)


def test_only_whole_streams_of_one_checkpoint_are_replayed(make_context: Callable[..., Context]) -> None:
    lake = make_context().lake
    blank = dict.fromkeys(tables.SAMPLES.schema.names) | {"temperature": 1.0, "max_tokens": 8, "template": "t"}

    def sample(problem: str, index: int, status: str, checkpoint: str = "c", purpose: str = "difficulty") -> dict:
        row = {"problem_id": problem, "sample_index": index, "status": status, "checkpoint": checkpoint}
        return blank | row | {"sample_id": f"{problem}{index}{checkpoint}{purpose}", "purpose": purpose}

    rows = [sample(problem, index, "correct" if index else "wrong") for problem in "pq" for index in range(TOTAL)]
    rows += [sample("r", index, "wrong") for index in range(TOTAL - 1)]  # not all of them
    rows += [sample("s", index, "infrastructure_error" if index else "wrong") for index in range(TOTAL)]
    rows += [sample("p", index, "correct", checkpoint="d") for index in range(TOTAL)]
    rows += [sample("u", index, "correct", purpose="guess") for index in range(TOTAL)]
    lake.append(tables.SAMPLES, rows, run_id="r", reason="test")
    found = recorded(lake, TOTAL, seed=0)
    assert {name: sum(stream) for name, stream in found.right.items()} == {"p": 3, "q": 3}
    orders = {tuple(recorded(lake, TOTAL, seed).right["p"]) for seed in range(10)}
    assert len(orders) > 1
