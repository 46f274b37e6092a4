"""Shapings on top of a base reward: what is added, what stays, and from which iteration on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.composite import ShapedReward, shaped, shaping_notes
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.length import LengthShaping, length_rewards
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.repetition import RepetitionShaping

PROBLEM = Reference("p", "5", "integer")
RIGHT, WRONG = "so \\boxed{5}", "so \\boxed{6}"


class Recorded:
    """A reward whose verdicts are given beforehand."""

    version = "recorded@1"

    def __init__(self, *verdicts: Breakdown) -> None:
        self._verdicts = list(verdicts)

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        return self._verdicts


def test_by_hand_on_the_rules_for_mathematics() -> None:
    group = [
        Response(RIGHT, 10),
        Response(RIGHT, 50),
        Response(WRONG, 20),
        Response(WRONG, 40),
        Response("and and and", 30, finished=False, repeats=True),
    ]
    reward = ShapedReward(MathReward(), [LengthShaping(0.4), RepetitionShaping(0.1)])
    found = reward.score(PROBLEM, group)
    assert [one.reward for one in found] == pytest.approx([1.2, 0.8, 0.0, -0.1, -0.1])
    assert [one.parts["length"] for one in found] == pytest.approx([0.2, -0.2, 0.0, -0.1, 0.0])
    assert [one.parts["repetition"] for one in found] == [0.0, 0.0, 0.0, 0.0, -0.1]
    assert [one.parts["correct"] for one in found] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_verdict_stays_and_the_version_names_the_shapings() -> None:
    group = [Response(RIGHT, 10), Response(WRONG, 20)]
    plain = MathReward().score(PROBLEM, group)
    reward = ShapedReward(MathReward(), [LengthShaping(0.4)])
    found = reward.score(PROBLEM, group)
    assert [(one.status, one.extracted_answer, one.reason) for one in found] == [
        (one.status, one.extracted_answer, one.reason) for one in plain
    ]
    assert reward.version == "math-rules@2+length@1(weight=0.4)"
    assert {one.rule_version for one in found} == {reward.version}


def test_a_response_without_a_verdict_does_not_count() -> None:
    """Length 1000 would be the longest, and all others would get nearly 0.5."""
    broken = Breakdown(Status.INFRASTRUCTURE_ERROR, None, "timeout", rule_version="x")
    base = Recorded(Breakdown(Status.CORRECT, 1.0), broken, Breakdown(Status.CORRECT, 1.0))
    group = [Response("", 10), Response("", 1000), Response("", 20)]
    found = ShapedReward(base, [LengthShaping(1.0)]).score(PROBLEM, group)
    assert [one.reward for one in found] == [1.5, None, 0.5]
    assert found[1] == broken


def test_an_unverifiable_response_does_not_escape_the_length_reward() -> None:
    base = Recorded(Breakdown(Status.CORRECT, 1.0), Breakdown(Status.UNVERIFIABLE, 0.0, "undecided"))
    found = ShapedReward(base, [LengthShaping(1.0)]).score(PROBLEM, [Response("", 10), Response("", 90)])
    assert [one.reward for one in found] == [1.5, -0.5]


def test_a_base_that_answers_with_another_number_is_refused() -> None:
    base = Recorded(Breakdown(Status.CORRECT, 1.0))
    with pytest.raises(ValueError, match="recorded@1 gave 1 breakdowns for 2 responses"):
        ShapedReward(base, [LengthShaping(1.0)]).score(PROBLEM, [Response("", 1), Response("", 2)])


def test_the_length_reward_has_a_warm_up_and_is_constant_after_it() -> None:
    settings = Rl(length_weight=0.4, length_from=3)
    group = [Response(RIGHT, 10), Response(RIGHT, 20)]
    rewards = [[one.reward for one in shaped(MathReward(), settings, i).score(PROBLEM, group)] for i in range(1, 7)]
    assert rewards[:2] == [[1.0, 1.0]] * 2
    assert all(one == pytest.approx([1.2, 0.8]) for one in rewards[2:])


def test_where_nothing_is_in_force_the_base_is_used_as_it_is() -> None:
    base = MathReward()
    assert shaped(base, Rl(), 1000) is base
    assert shaped(base, Rl(length_weight=0.4, length_from=3), 2) is base
    penalised = shaped(base, Rl(repetition_penalty=0.5, length_weight=0.4, length_from=3), 2)
    assert penalised.version == "math-rules@2+repetition@1(penalty=0.5)"  # the penalty has no warm-up


def test_a_length_reward_that_never_begins_is_said() -> None:
    assert "this run has no length reward" in shaping_notes(Rl(length_weight=0.1, length_from=9, iterations=8))[0]
    assert shaping_notes(Rl(length_weight=0.1, length_from=8, iterations=8)) == ()
    assert shaping_notes(Rl(length_from=9, iterations=8)) == ()


VERDICTS = st.lists(
    st.tuples(
        st.sampled_from([(status, None if status is Status.INFRASTRUCTURE_ERROR else 0.0) for status in Status]),
        st.integers(1, 500),
        st.booleans(),
    ),
    max_size=10,
)


@given(VERDICTS, st.floats(0.01, 1.99), st.floats(0, 1))
def test_rewards_are_the_sum_of_base_and_parts(drawn: list[Any], weight: float, penalty: float) -> None:
    verdicts = [Breakdown(status, 1.0 if status is Status.CORRECT else reward) for (status, reward), _, _ in drawn]
    group = [
        Response("", tokens, finished=status is Status.CORRECT, repeats=repeats and status is not Status.CORRECT)
        for (status, _), tokens, repeats in drawn
    ]
    reward = ShapedReward(Recorded(*verdicts), [LengthShaping(weight), RepetitionShaping(penalty)])
    found = reward.score(PROBLEM, group)
    judged = [place for place, verdict in enumerate(verdicts) if verdict.reward is not None]
    lengths = length_rewards(
        [group[place].tokens for place in judged], [verdicts[place].status is Status.CORRECT for place in judged]
    )
    expected = dict(zip(judged, lengths, strict=True))
    assert [one.status for one in found] == [one.status for one in verdicts]
    for place, (before, after) in enumerate(zip(verdicts, found, strict=True)):
        if before.reward is None:
            assert after == before
            continue
        assert after.reward == pytest.approx(before.reward + sum(after.parts.values()))
        assert after.parts["length"] == pytest.approx(weight * expected[place])
        assert after.parts["repetition"] == (-penalty if group[place].repeats else 0.0)
    right = [one.reward for one in found if one.status is Status.CORRECT]
    other = [one.reward for one in found if one.reward is not None and one.status is not Status.CORRECT]
    if right and other:
        assert min(right) > max(other)  # type: ignore[type-var]
