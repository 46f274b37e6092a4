"""What a Chain-of-Thought RM writes is read strictly, and votes are counted: every text ends in a verdict or a reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.inference.request import Completion, SampleRequest, failed
from kimi_pipeline.reward_models.cot import FAILED, TIE, TOO_LONG, CotJudge, Votes
from kimi_pipeline.reward_models.figures import Judged, accuracy, calibration_error, compared, reliability
from kimi_pipeline.reward_models.verdicts import Trouble, agrees, as_json, read, reasoning
from kimi_pipeline.reward_models.wording import WORDINGS
from kimi_pipeline.rewards.second_opinion import Question

YES, NO = as_json("says 5 is 5 reference 5 5/5=", True), as_json("says 6 is 6 reference 5 5/6#", False)


class Scripted:
    """A carrier whose answers are given beforehand, in the order of the requests; it answers backwards."""

    name = "scripted"

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)
        self.asked: list[SampleRequest] = []

    def generate(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        self.asked += list(requests)
        for request, text in reversed(list(zip(self.asked, self._answers, strict=True))):
            if text is None:
                yield failed(request, "timeout: gone", retryable=True)
            elif text == TOO_LONG:
                yield failed(request, "prompt_too_long: 300 tokens", retryable=False)
            else:
                yield Completion(request, text.rstrip("…"), "length" if text.endswith("…") else "stop", 9, 4)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("reference", "said", "value", "text"),
    [
        ("4128", ["four one two eight"], "4128", "says four one two eight is 4128 reference 4128 4/4=1/1=2/2=8/8="),
        ("4128", ["4139"], "4139", "says 4139 is 4139 reference 4128 4/4=1/1=2/3#"),
        ("4128", ["412"], "412", "says 412 is 412 reference 4128 4/4=1/1=2/2=8/-#"),
        ("41 cm", ["41 m"], "41 m", "says 41 m is 41 m reference 41 cm 4/4=1/1=cm/m#"),
        ("BA", ["BA", "AB"], None, "says BA or AB more than one"),
        ("BA", [], None, "says no answer"),
    ],
)
def test_the_steps(reference: str, said: list[str], value: str | None, text: str) -> None:
    assert reasoning(reference, said, value) == text
    assert agrees(text, value == reference)


@given(st.text(max_size=60), st.booleans(), st.integers(0, 400))
def test_a_verdict_is_read_back_and_no_piece_of_it_is_one(steps: str, correct: bool, cut: int) -> None:
    text = as_json(steps, correct)
    assert (read(text, True).correct, read(text, True).reasoning) == (correct, steps)
    assert read(text, False).trouble is Trouble.CUT
    if cut < len(text):
        assert read(text[:cut], True).correct is None


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"verdict":true}', '{"verdict":"correct"}', "[" * 100_000, "1e999"]
)
def test_other_texts_hold_no_verdict(text: str) -> None:
    assert read(text, True).trouble is Trouble.NO_VERDICT


@pytest.mark.parametrize(
    ("answers", "correct", "reason", "share"),
    [
        ([YES, YES, NO], True, None, 2 / 3),
        ([NO, None, "{"], False, None, 0.0),
        ([YES, NO, None], None, TIE, 0.5),
        (['{"reasoning":"says…', YES[:20] + "…", "x"], None, Trouble.CUT, None),
        ([None, None, None], None, FAILED, None),
        ([TOO_LONG, TOO_LONG, TOO_LONG], None, TOO_LONG, None),
    ],
)
def test_the_majority_counts(
    answers: list[str | None], correct: bool | None, reason: str | None, share: float | None
) -> None:
    carrier = Scripted(*answers)
    judge = CotJudge(carrier, "c" * 32, WORDINGS["tiny"], Votes(3, 1.0, 90))
    question = Question("q", "5", "so \\boxed{5}")
    found = judge.judge([question, question])  # asked once
    assert found[0] == found[1] and len(carrier.asked) == 3
    assert (found[0].correct, found[0].reason, found[0].share) == (correct, reason, share)
    assert found[0].failed == (reason == FAILED) and len(found[0].evidence) == 3
    assert len({one.seed for one in carrier.asked}) == 3 and json.loads(carrier.asked[0].sampling.json_schema or "")


def test_figures_by_hand() -> None:
    judged = [
        Judged("near", False, True, 0.95),
        Judged("near", False, False, 0.05),
        Judged("equal", True, True, 0.95),
        Judged("equal", True, None, None),
    ]
    found = accuracy(judged)
    assert (found["accuracy"], found["false_correct"], found["false_wrong"], found["no_verdict"]) == (0.5, 0.5, 0, 0.25)
    bins = reliability(judged)
    assert [(one.n, one.correct) for one in bins] == [(1, 0.0), (2, 0.5)]
    assert calibration_error(bins) == pytest.approx((0.05 + 2 * 0.45) / 3)
    assert compared(judged, {1: judged, 3: judged[1:3]})["cot_above_classic"] == 0.5
