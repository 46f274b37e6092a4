"""Prompt sampling: epochs without replacement, weights, state, bad files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import Prompt, UniformSampler, read_prompts


def prompts(*weights: float) -> list[Prompt]:
    return [Prompt(f"q{i}", Reference(f"p{i}", "1", "integer"), weight) for i, weight in enumerate(weights)]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3))
def test_equal_weights_give_epochs_without_replacement(size: int, count: int, seed: int) -> None:
    sampler = UniformSampler(prompts(*[1.0] * size), seed)
    drawn: list[str] = []
    for _ in range(10):
        batch = [prompt.problem_id for prompt in sampler.draw(count)]
        assert len(batch) == len(set(batch)) == min(size, count)
        drawn += batch
    times = Counter(drawn)
    assert max(times.values()) - min(times.get(f"p{i}", 0) for i in range(size)) <= 2


def test_a_weight_is_a_frequency() -> None:
    sampler = UniformSampler(prompts(1.0, 2.0, 0.5, 0.0, *[1.0] * 20), seed=3)
    drawn = Counter(prompt.problem_id for _ in range(1000) for prompt in sampler.draw(5))
    assert drawn["p3"] == 0
    share = drawn["p0"]
    assert drawn["p1"] == pytest.approx(2 * share, rel=0.05)
    assert drawn["p2"] == pytest.approx(0.5 * share, rel=0.1)


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    def draw(seed: int) -> list[str]:
        sampler = UniformSampler(prompts(*[1.0] * 30), seed)
        return [prompt.problem_id for _ in range(5) for prompt in sampler.draw(8)]

    assert draw(1) == draw(1) != draw(2)


def test_the_state_is_json_and_continues_where_it_was() -> None:
    pool = prompts(*[1.0] * 11, 2.0)
    sampler = UniformSampler(pool, 0)
    sampler.draw(8)
    state = json.loads(json.dumps(sampler.state()))
    expected = [sampler.draw(8) for _ in range(5)]
    other = UniformSampler(pool, 0)
    other.restore(state)
    assert [other.draw(8) for _ in range(5)] == expected


ROW = {"problem_id": "a", "prompt": "q", "answer": "1", "answer_kind": "integer", "weight": 1.0}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def test_prompts_are_read_sorted_and_an_empty_weight_is_one(tmp_path: Path) -> None:
    found = read_prompts(write(tmp_path / "p", ROW | {"problem_id": "b", "weight": None}, ROW))
    assert [(prompt.problem_id, prompt.weight) for prompt in found] == [("a", 1.0), ("b", 1.0)]
    plain = {name: value for name, value in ROW.items() if name != "weight"}
    assert read_prompts(write(tmp_path / "q", plain))[0].weight == 1.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"problem_id": "a", "prompt": "q"}], "no column 'answer'"),
        ([ROW | {"weight": -1.0}], "has weight -1.0"),
        ([ROW | {"weight": float("nan")}], "has weight nan"),
        ([ROW | {"weight": 0.0}], "weight above 0"),
        ([ROW, ROW], "holds problem a 2 times"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_prompts(write(tmp_path / "p", *rows))
    with pytest.raises(UserError, match="does not exist"):
        read_prompts(tmp_path / "missing")
