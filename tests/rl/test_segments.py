"""Segments: what holds for every one, whatever it is built from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.rl.segments import Segment, SegmentStatus

LOG_PROBS = st.floats(-50, 0, width=32)


def build(**changes: Any) -> Segment:
    values: dict[str, Any] = {
        "problem_id": "p",
        "sample_index": 0,
        "segment_index": 0,
        "iteration": 1,
        "weight_version": 1,
        "context_ids": np.array([5, 6]),
        "response_ids": np.array([7, 2]),
        "behaviour_log_probs": np.array([-0.5, -1.0]),
        "status": SegmentStatus.FINISHED,
    }
    return Segment(**(values | changes))


@given(
    context=st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
    response=st.lists(st.tuples(st.integers(0, 10**6), LOG_PROBS, LOG_PROBS), min_size=1, max_size=20),
    status=st.sampled_from(SegmentStatus),
)
def test_what_goes_in_is_kept_and_cannot_be_changed(
    context: list[int], response: list[tuple[int, float, float]], status: SegmentStatus
) -> None:
    tokens, behaviour, reference = zip(*response, strict=True)
    given_ids = np.array(tokens)
    segment = build(
        context_ids=context, response_ids=given_ids, behaviour_log_probs=behaviour, status=status
    ).with_reference(np.array(reference))
    given_ids[0] += 1  # the segment holds copies
    assert segment.context_ids.tolist() == context and tuple(segment.response_ids.tolist()) == tokens
    assert segment.tokens == len(response)
    assert segment.to_be_continued == (status is SegmentStatus.CUT_BY_BUDGET)
    np.testing.assert_allclose(segment.behaviour_log_probs, np.float32(behaviour))
    np.testing.assert_allclose(segment.reference_log_probs, np.float32(reference))
    for array in (segment.context_ids, segment.response_ids, segment.behaviour_log_probs, segment.reference_log_probs):
        assert array is not None
        with pytest.raises(ValueError):
            array[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context_ids": []}, "context_ids is empty"),
        ({"response_ids": [], "behaviour_log_probs": []}, "at least one token"),
        ({"behaviour_log_probs": [-1.0]}, "1 entries for 2 tokens"),
        ({"behaviour_log_probs": [-1.0, float("nan")]}, "not finite"),
        ({"behaviour_log_probs": [-1.0, float("-inf")]}, "not finite"),
        ({"behaviour_log_probs": [-1.0, 0.5]}, "above 0"),
        ({"reference_log_probs": [-1.0, -1.0, -1.0]}, "3 entries for 2 tokens"),
        ({"response_ids": [7, -1]}, "negative token id"),
        ({"response_ids": [7.5, 2.0]}, "no whole numbers"),
        ({"context_ids": [[1, 2]]}, "2 dimensions"),
        ({"segment_index": -1}, "segment_index is negative"),
        ({"weight_version": -1}, "weight_version is negative"),
    ],
)
def test_a_broken_segment_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_an_aborted_segment_may_be_empty() -> None:
    assert build(response_ids=[], behaviour_log_probs=[], status=SegmentStatus.ABORTED).tokens == 0


def test_the_reference_is_set_once() -> None:
    segment = build()
    with pytest.raises(ValueError, match="set already"):
        segment.with_reference(np.array([-1.0, -1.0])).with_reference(np.array([-2.0, -2.0]))
