"""The length reward of section 2.3.3, by hand and by its properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.rewards.contract import Breakdown, Response, Status
from kimi_pipeline.rewards.length import LengthShaping, length_rewards

GROUPS = st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), min_size=1, max_size=12)


def scored(group: list[tuple[int, bool]]) -> list[float]:
    return length_rewards([length for length, _ in group], [right for _, right in group])


def test_by_hand() -> None:
    """Lengths 10 to 50: lambda is 0.5, 0.25, 0, -0.25, -0.5; a response that is not right keeps the negative ones only."""
    lengths = [10, 20, 30, 40, 50]
    assert length_rewards(lengths, [True] * 5) == [0.5, 0.25, 0.0, -0.25, -0.5]
    assert length_rewards(lengths, [False] * 5) == [0.0, 0.0, 0.0, -0.25, -0.5]
    assert length_rewards([20, 50, 10, 50], [True, True, False, False]) == [0.25, -0.5, 0.0, -0.5]


def test_equal_lengths_give_nothing() -> None:
    assert length_rewards([7, 7, 7], [True, False, True]) == [0.0, 0.0, 0.0]
    assert length_rewards([7], [True]) == [0.0]
    assert length_rewards([], []) == []


def test_a_right_answer_that_is_the_longest_loses_as_much_as_a_wrong_one() -> None:
    assert length_rewards([1, 9], [False, True]) == [0.0, -0.5]


@given(GROUPS)
def test_it_is_bounded_and_never_rewards_a_wrong_answer(group: list[tuple[int, bool]]) -> None:
    for (_, right), value in zip(group, scored(group), strict=True):
        assert -0.5 <= value <= (0.5 if right else 0.0)


@given(GROUPS)
def test_shorter_is_never_worse_among_equals(group: list[tuple[int, bool]]) -> None:
    values = scored(group)
    for (length, right), value in zip(group, values, strict=True):
        for (other_length, other_right), other in zip(group, values, strict=True):
            if right == other_right and length < other_length:
                assert value >= other
                assert value > other or not right


@given(GROUPS, st.integers(0, 1000), st.integers(1, 7))
def test_only_the_place_in_the_group_counts(group: list[tuple[int, bool]], shift: int, factor: int) -> None:
    moved = [(shift + factor * length, right) for length, right in group]
    assert scored(moved) == pytest.approx(scored(group), abs=1e-12)


@given(GROUPS, st.randoms(use_true_random=False))
def test_order_does_not_count(group: list[tuple[int, bool]], random: object) -> None:
    places = list(range(len(group)))
    random.shuffle(places)  # type: ignore[attr-defined]
    values = scored(group)
    assert scored([group[place] for place in places]) == [values[place] for place in places]


def test_right_is_by_status_alone() -> None:
    group = [Response("", length, finished=length < 30) for length in (10, 20, 30, 50)]
    statuses = [Status.UNVERIFIABLE, Status.CORRECT, Status.NO_ANSWER, Status.WRONG]
    verdicts = [Breakdown(status, 1.0) for status in statuses]
    assert LengthShaping(0.2).score(group, verdicts) == pytest.approx([0.0, 0.05, 0.0, -0.1])
    assert LengthShaping(0.2).version == "length@1(weight=0.2)"
