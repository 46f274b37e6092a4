"""Statistics over seeds, by hand and by their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.bench.seeds import Spread, band, outcome, over_problems, paired, share_over_problems, spread
from kimi_pipeline.intervals import wilson

T_2 = 4.302652729911275  # Student's t at 0.975 with two degrees of freedom
VALUES = st.lists(st.floats(-10, 10), min_size=2, max_size=20)


def test_the_interval_of_three_seeds_by_hand() -> None:
    found = spread([0.2, 0.3, 0.4])
    half = T_2 * 0.1 / math.sqrt(3)
    assert (found.mean, found.sd) == (pytest.approx(0.3), pytest.approx(0.1))
    assert (found.low, found.high) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert found.as_dict()["interval"] == [round(0.3 - half, 4), round(0.3 + half, 4)]


def test_one_seed_has_no_interval() -> None:
    assert spread([0.5]).as_dict() == {"mean": 0.5, "sd": None, "interval": None, "runs": [0.5]}
    assert band([[1.0, 2.0]]) == [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).normal(0.7, 0.2, (4000, 3))
    hits = sum(found.low <= 0.7 <= found.high for found in (spread(list(row)) for row in drawn))  # type: ignore[operator]
    # 0.95 with a standard error of 0.0034: four of them either way.
    assert abs(hits / len(drawn) - 0.95) < 0.014


def test_pairing_removes_what_problems_have_in_common() -> None:
    rng = np.random.default_rng(1)
    hardness = rng.uniform(0, 1, 500)
    ours, theirs = list(hardness + 0.02 + rng.normal(0, 0.01, 500)), list(hardness)
    assert paired(ours, theirs).low > 0  # a small gain is seen, although
    assert over_problems(ours).low < over_problems(theirs).mean  # each mean alone is far less certain


def test_a_problem_without_a_verdict_on_one_side_is_left_out() -> None:
    found = paired([1.0, None, 0.0, 1.0, 0.5], [0.0, 1.0, 0.0, None, 1.0])
    differences = [1.0, 0.0, -0.5]
    assert (found.n, found.mean) == (3, pytest.approx(sum(differences) / 3))


def test_unequal_orders_and_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="2 problems on one side"):
        paired([1.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="an interval needs two"):
        over_problems([1.0, None])


@given(VALUES)
def test_a_difference_has_its_sign_from_the_order_of_the_sides(values: list[float]) -> None:
    other = values[::-1]
    there, back = paired(values, other), paired(other, values)
    assert there.mean == pytest.approx(-back.mean, abs=1e-9)
    assert there.low == pytest.approx(-back.high, abs=1e-9)


@given(st.floats(-1, 1), st.floats(0.001, 1))
def test_a_claim_holds_only_where_the_interval_excludes_zero(mean: float, half: float) -> None:
    found = Spread(mean, 1.0, mean - half, mean + half, ())
    up, down = outcome(found, "up"), outcome(found, "down")
    assert (up == "holds") == (mean - half > 0) == (down == "the opposite")
    assert (up == "the opposite") == (mean + half < 0) == (down == "holds")
    assert (up == "not shown") == (down == "not shown")


def test_one_seed_shows_nothing() -> None:
    assert outcome(spread([5.0]), "up") == "not shown"


def test_a_band_is_as_long_as_the_shortest_run() -> None:
    found = band([[1.0, 2.0, 3.0], [3.0, 4.0]])
    assert [value for value, _, _ in found] == [2.0, 3.0]
    assert all(low < value < high for value, low, high in found)


def test_an_iteration_without_a_value_is_a_gap_and_others_count_without_it() -> None:
    nan = math.nan
    (first, *_), second, third = band([[nan, nan, 1.0], [nan, 2.0, 3.0], [nan, 2.0, 5.0]])
    assert math.isnan(first)
    assert second == (2.0, 2.0, 2.0)
    assert third[0] == 3.0


def test_shares_near_zero_and_one_keep_an_honest_interval() -> None:
    none, all_right = share_over_problems([0.0] * 90), share_over_problems([1.0] * 90)
    assert (none.low, none.high) == wilson(0, 90) and none.high > 0.04
    assert (all_right.low, all_right.high) == wilson(90, 90)
    halves = share_over_problems([0.0] * 89 + [0.5])  # two answers a problem
    assert halves.low == 0.0 < halves.mean < halves.high
