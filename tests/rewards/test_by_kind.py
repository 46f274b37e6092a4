"""The composite reward: who is asked, what becomes of each answer, and the record of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from kimi_pipeline.inference.store import evidence_rows
from kimi_pipeline.rewards.by_kind import NO_SUITE, CompositeReward
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.second_opinion import Opinion, Question

FREE = Reference("p", "ADB", "free_form")


class Judge:
    """A second opinion given beforehand; it remembers what it was asked."""

    version = "judge@1"

    def __init__(self, opinion: Opinion) -> None:
        self._opinion = opinion
        self.asked: list[Question] = []

    def judge(self, questions: Sequence[Question]) -> list[Opinion]:
        self.asked += questions
        return [self._opinion for _ in questions]


class Tests:
    """A code reward with one verdict; its suite is another problem's where it has none."""

    version = "code@0"

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        if reference.problem_id != "code":
            raise KeyError(reference.problem_id)
        return [Breakdown(Status.CORRECT, 1.0, parts={"cases_passed": 3.0}) for _ in group]


def test_only_what_rules_leave_open_is_put_to_the_judge() -> None:
    judge = Judge(Opinion(True, share=0.8, judge="judge@1", tokens=40, seconds=0.5, evidence=("a", "b")))
    reward = CompositeReward(MathReward(), judge, {"p": "In what order?"})
    group = [
        Response("\\boxed{ADB}", 1),
        Response("\\boxed{A then D then B}", 1),
        Response("first D, then the others", 1),
        Response("\\boxed{A then", 1, finished=False),
    ]
    found = reward.score(FREE, group)
    assert [one.response for one in judge.asked] == [group[1].text, group[2].text]
    assert judge.asked[0] == Question("In what order?", "ADB", group[1].text)
    assert [one.status for one in found] == [Status.CORRECT] * 3 + [Status.NO_ANSWER]
    assert [one.reward for one in found] == [1.0, 1.0, 1.0, 0.0]
    assert [[part.part for part in one.evidence] for one in found] == [
        ["rules"], ["rules", "cot_rm"], ["rules", "cot_rm"], ["rules"],
    ]  # fmt: skip
    rows = evidence_rows({"checkpoint": "c", "problem_id": "p", "sample_id": "s"}, found[1])
    assert rows[0]["status"] == "unverifiable" and rows[0]["reason"] == "undecided" and rows[0]["seconds"] > 0
    assert (rows[1]["judge"], rows[1]["tokens"], rows[1]["value"]) == ("judge@1", 40, 1.0)
    assert json.loads(rows[1]["evidence"]) == {"share": 0.8, "votes": ["a", "b"]}


def test_numbers_are_decided_by_rules_also_in_words_of_one_kind() -> None:
    judge = Judge(Opinion(True))
    group = [Response("\\boxed{4129}", 1), Response("\\boxed{4128 or 4129}", 1), Response("\\boxed{4,128}", 1)]
    found = CompositeReward(MathReward(), judge).score(Reference("p", "4128", "free_form"), group)
    assert not judge.asked
    assert [one.status for one in found] == [Status.WRONG, Status.WRONG, Status.CORRECT]


@pytest.mark.parametrize(
    ("opinion", "status", "reward"),
    [
        (Opinion(False), Status.WRONG, 0.0),
        (Opinion(None, "rm_cut"), Status.UNVERIFIABLE, 0.0),
        (Opinion(None, "rm_failed", failed=True), Status.INFRASTRUCTURE_ERROR, None),
    ],
)
def test_no_opinion_is_a_status_with_its_reason(opinion: Opinion, status: Status, reward: float | None) -> None:
    (found,) = CompositeReward(MathReward(), Judge(opinion)).score(FREE, [Response("\\boxed{A, D, B}", 1)])
    assert (found.status, found.reward, found.reason) == (status, reward, opinion.reason)


def test_without_a_judge_the_rules_stand() -> None:
    (found,) = CompositeReward(MathReward()).score(FREE, [Response("\\boxed{A, D, B}", 1)])
    assert (found.status, found.reward) == (Status.UNVERIFIABLE, 0.0)


def test_code_goes_to_its_test_cases() -> None:
    reward = CompositeReward(MathReward(), code=Tests())
    (found,) = reward.score(Reference("code", "", "code"), [Response("print(1)", 1)])
    assert found.reward == 1.0 and json.loads(found.evidence[0].text) == {"cases_passed": 3.0}
    for lost in (reward, CompositeReward(MathReward())):
        (found,) = lost.score(Reference("other", "", "code"), [Response("print(1)", 1)])
        assert (found.status, found.reward, found.reason) == (Status.INFRASTRUCTURE_ERROR, None, NO_SUITE)
