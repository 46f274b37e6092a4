"""Prompt sampling: files of prompts, epochs without replacement, the curriculum's parts, state, what each way promises.

Priorities and frequencies of prioritized sampling are in `test_prioritized.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import (
    CurriculumSampler,
    Prompt,
    PromptSampler,
    UniformSampler,
    prompt_sampler,
    read_prompts,
)

WAYS = get_args(Rl.model_fields["sampling"].annotation)


def prompts(*weights: float, rates: tuple[float | None, ...] = ()) -> list[Prompt]:
    rates = rates or (None,) * len(weights)
    return [
        Prompt(f"q{i}", Reference(f"p{i}", "1", "integer"), weight, rate)
        for i, (weight, rate) in enumerate(zip(weights, rates, strict=True))
    ]


def names(drawn: list[Prompt]) -> list[str]:
    return [prompt.problem_id for prompt in drawn]


# -- uniform ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 3))
def test_equal_weights_give_epochs_without_replacement(size: int, count: int, seed: int) -> None:
    sampler = UniformSampler(prompts(*[1.0] * size), seed)
    drawn: list[str] = []
    for _ in range(10):
        batch = names(sampler.draw(count))
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


def test_a_prompt_that_is_wanted_more_than_once_a_draw_lets_no_queue_grow() -> None:
    """Weight 10 among ones, 4 of 5 a draw: it is in every draw, and never catches up."""
    sampler = UniformSampler(prompts(10.0, 1.0, 1.0, 1.0, 1.0), seed=0)
    drawn = Counter(name for _ in range(500) for name in names(sampler.draw(4)))
    assert drawn["p0"] == 500
    assert len(sampler.state()["queue"]) < 20
    assert max(drawn.values()) == 500 and min(drawn.values()) > 300


def test_a_batch_that_needs_prompts_of_next_to_no_weight_is_filled_all_the_same() -> None:
    sampler = UniformSampler(prompts(*[1.0] * 6, 1e-9, 2e-9), seed=0)
    assert set(names(sampler.draw(7))) == {f"p{i}" for i in (0, 1, 2, 3, 4, 5, 7)}
    assert len(sampler.draw(8)) == 8


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    def draw(seed: int) -> list[str]:
        sampler = UniformSampler(prompts(*[1.0] * 30), seed)
        return [name for _ in range(5) for name in names(sampler.draw(8))]

    assert draw(1) == draw(1) != draw(2)


# -- curriculum -------------------------------------------------------------------------------------------------

RATES = (0.0, 0.1, 0.3, 0.31, 0.5, 0.9, 1.0, None)


def curriculum(rates: tuple[float | None, ...] = RATES, **settings: Any) -> CurriculumSampler:
    pool = prompts(*[1.0] * len(rates), rates=rates)
    return CurriculumSampler(pool, 0, **({"begins": 5, "hard_below": 0.3, "batch": 2} | settings))


def test_the_curriculum_is_uniform_over_all_first_and_then_hard_alone() -> None:
    sampler = curriculum()
    first = [names(sampler.draw(2)) for _ in range(4)]  # draws 1 to 4
    assert sorted(name for batch in first for name in batch) == sorted(f"p{i}" for i in range(8))  # one whole epoch
    later = Counter(name for _ in range(30) for name in names(sampler.draw(2)))
    assert later == {"p0": 20, "p1": 20, "p2": 20}
    assert sampler.notes == ()


def test_a_hard_part_smaller_than_a_batch_is_filled_up_and_said() -> None:
    sampler = curriculum(batch=5, begins=1)
    assert "only 3 prompts have a pass rate at or below rl.hard_below (0.3)" in sampler.notes[0]
    others: Counter[str] = Counter()
    for _ in range(50):
        batch = names(sampler.draw(5))
        assert {"p0", "p1", "p2"} < set(batch) and len(set(batch)) == 5
        others.update(set(batch) - {"p0", "p1", "p2"})
    assert others == {f"p{i}": 20 for i in range(3, 8)}
    assert len(sampler.draw(100)) == 8


@pytest.mark.parametrize("cut", [1, 4, 7, 8])
def test_a_curriculum_goes_on_in_all_its_parts(cut: int) -> None:
    """Saved before its second part, at its beginning, and while hard and other prompts are in the middle of an epoch."""
    sampler, other = curriculum(batch=5), curriculum(batch=5)
    for _ in range(cut):
        sampler.draw(5)
    other.restore(json.loads(json.dumps(sampler.state())))
    assert [names(other.draw(5)) for _ in range(8)] == [names(sampler.draw(5)) for _ in range(8)]


def test_a_curriculum_without_hard_prompts_is_refused() -> None:
    with pytest.raises(UserError, match=r"none of the 3 prompts has .* rl.hard_below \(0.3; 2 have one\): raise it"):
        curriculum((0.5, 0.9, None))


def test_a_hard_prompt_of_weight_0_is_none() -> None:
    pool = prompts(0.0, 1.0, rates=(0.0, 0.9))
    with pytest.raises(UserError, match="none of the 1 prompts"):
        CurriculumSampler(pool, 0, begins=1, hard_below=0.3, batch=1)


# -- all three --------------------------------------------------------------------------------------------------


def sampler_of(way: str, pool: list[Prompt], **settings: Any) -> PromptSampler:
    given: dict[str, Any] = {"sampling": way, "curriculum_from": 3, "hard_below": 0.5, "prompts": 4}
    return prompt_sampler(Rl(**(given | settings)), pool, 7)


POOLS = st.lists(
    st.tuples(st.sampled_from([0.0, 1e-9, 0.5, 1.0, 3.0]), st.sampled_from([None, 0.0, 0.2, 0.5, 1.0])), max_size=12
).map(lambda drawn: prompts(1.0, *(w for w, _ in drawn), rates=(0.1, *(rate for _, rate in drawn))))
"""Sets of which at least one prompt is hard and has a weight."""


@given(st.sampled_from(WAYS), POOLS, st.lists(st.integers(0, 15), min_size=1, max_size=8), st.integers(0, 4))
def test_draws_are_distinct_and_as_many_as_asked(way: str, pool: list[Prompt], counts: list[int], held: int) -> None:
    sampler = sampler_of(way, pool)
    usable = [prompt.problem_id for prompt in pool if prompt.weight]
    busy = set(usable[:held])
    for count in counts:
        batch = names(sampler.draw(count, busy))
        assert len(batch) == len(set(batch)) == min(count, len(usable) - len(busy))
        assert set(batch) <= set(usable) - busy
        for name in batch:
            sampler.observe(name, 1, 2)


def play(sampler: PromptSampler, moves: list[tuple[int, int]]) -> list[list[str]]:
    """Draw, and let `right` of 8 responses of each drawn problem be right."""
    batches = []
    for count, right in moves:
        batches.append(names(sampler.draw(count)))
        for name in batches[-1]:
            sampler.observe(name, right, 8)
    return batches


MOVES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=8)


@given(st.sampled_from(WAYS), POOLS, MOVES, MOVES)
def test_a_restored_sampler_goes_on_as_the_one_that_was_saved(
    way: str, pool: list[Prompt], before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    sampler, other = sampler_of(way, pool), sampler_of(way, pool)
    play(sampler, before)
    other.restore(json.loads(json.dumps(sampler.state())))
    assert play(other, after) == play(sampler, after)
    assert other.rates() == sampler.rates()
    assert other.state() == sampler.state()


@pytest.mark.parametrize("way", WAYS)
def test_every_rank_draws_the_same(way: str) -> None:
    pool = prompts(*[1.0] * 30, rates=(0.4,) * 30)
    moves = [(4, right) for right in (0, 8, 3, 5, 8, 0)]
    assert play(sampler_of(way, pool), moves) == play(sampler_of(way, pool), moves)


def test_rates_are_kept_whichever_way_prompts_are_chosen() -> None:
    for way in WAYS:
        sampler = sampler_of(way, prompts(1.0, 1.0, rates=(0.5, 0.5)), prior_strength=0)
        sampler.observe("p1", 3, 8)
        (found,) = sampler.rates()
        assert (found.problem_id, found.rate, found.correct, found.total) == ("p1", 0.375, 3, 8)


def test_a_curriculum_that_never_becomes_hard_is_said() -> None:
    pool = prompts(1.0, rates=(0.1,))
    (note,) = sampler_of("curriculum", pool, iterations=2, prompts=1).notes
    assert note == "rl.curriculum_from (3) is beyond rl.iterations (2): sampling stays uniform to the end"
    assert [sampler_of(way, pool, iterations=3, prompts=1).notes for way in WAYS] == [(), (), ()]


def test_another_way_to_sample_and_another_set_are_refused() -> None:
    pool = prompts(1.0, 1.0, rates=(0.1, 0.1))
    saved = sampler_of("uniform", pool)
    saved.observe("p1", 1, 1)
    with pytest.raises(UserError, match=r"rl.sampling is 'prioritized', but the saved run samples 'uniform'"):
        sampler_of("prioritized", pool).restore(saved.state())
    with pytest.raises(UserError, match="problem p1, which the prompt set does not hold"):
        sampler_of("uniform", pool[:1]).restore(saved.state())


# -- files ------------------------------------------------------------------------------------------------------

ROW = {"problem_id": "a", "prompt": "q", "answer": "1", "answer_kind": "integer", "weight": 1.0}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def test_prompts_are_read_sorted_and_an_empty_weight_is_one(tmp_path: Path) -> None:
    found = read_prompts(write(tmp_path / "p", ROW | {"problem_id": "b", "weight": None}, ROW))
    assert [(prompt.problem_id, prompt.weight) for prompt in found] == [("a", 1.0), ("b", 1.0)]
    plain = {name: value for name, value in ROW.items() if name != "weight"}
    assert read_prompts(write(tmp_path / "q", plain))[0].weight == 1.0


def test_difficulty_is_read_where_it_is_known(tmp_path: Path) -> None:
    known = ROW | {"pass_rate": 0.3, "samples": 10}
    unknown = ROW | {"problem_id": "b", "pass_rate": None, "samples": None}
    found = read_prompts(write(tmp_path / "p", known, unknown))
    assert [(one.pass_rate, one.samples, one.first_rate) for one in found] == [(0.3, 10, 0.3), (None, None, 0.5)]
    assert read_prompts(write(tmp_path / "q", ROW))[0].pass_rate is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"problem_id": "a", "prompt": "q"}], "no column 'answer'"),
        ([ROW | {"weight": -1.0}], "has weight -1.0"),
        ([ROW | {"weight": float("nan")}], "has weight nan"),
        ([ROW | {"weight": 0.0}], "weight above 0"),
        ([ROW | {"pass_rate": 1.5}], "has pass_rate 1.5: give a number from 0 to 1"),
        ([ROW | {"pass_rate": float("nan")}], "has pass_rate nan"),
        ([ROW | {"pass_rate": 0.5, "samples": -1}], "has samples -1"),
        ([ROW, ROW], "holds problem a 2 times"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_prompts(write(tmp_path / "p", *rows))
    with pytest.raises(UserError, match="does not exist"):
        read_prompts(tmp_path / "missing")
