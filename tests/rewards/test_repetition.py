"""The penalty on responses that were stopped for repeating themselves."""

from __future__ import annotations

import pytest

from kimi_pipeline.rewards.contract import Breakdown, Response, Status
from kimi_pipeline.rewards.repetition import RepetitionShaping


def test_only_responses_stopped_for_repetition_pay() -> None:
    group = [
        Response("done", 5),
        Response("cut", 9, finished=False),
        Response("la la la", 7, finished=False, repeats=True),
    ]
    verdicts = [Breakdown(Status.CORRECT, 1.0), Breakdown(Status.NO_ANSWER, 0.0), Breakdown(Status.NO_ANSWER, 0.0)]
    assert RepetitionShaping(0.25).score(group, verdicts) == [0.0, 0.0, -0.25]


def test_a_response_is_not_both_finished_and_stopped_for_repetition() -> None:
    with pytest.raises(ValueError, match="has not finished"):
        Response("la la la", 7, repeats=True)
