"""Segment: the tokens of one rollout segment, with the log-probs that training needs. One type owns them all.

Belongs here: the type, its invariants, what its statuses mean. Does not belong here: sampling (`rollout.py`), the loss
(`mirror_descent.py`).

A response is one segment, or several where a token budget cuts it and it continues in a later iteration under newer
weights [2.6.2]. Two kinds of log-probs are kept apart: the sampler's own (behaviour; they only measure the gap) and the
reference log pi_i of equation 3, which the *trainer's* forward pass gives under the weights that sampled the segment.

A segment has a reference where a loss may look at it (`may_be_in_loss`). One that the loss never looks at is context
alone, and has none: a forward pass over it and all that came before would be for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
LogProbs = npt.NDArray[np.float32]
LossOn = Literal["current", "all"]

ROUNDING = 1e-4  # a log-prob may exceed 0 by so much and is a rounding error


class SegmentStatus(StrEnum):
    """How a segment ended. Only `cut_by_budget` is to be continued; it is no wrong answer.

    `finished`: by the end-of-sequence token. `cut_by_limit`: by the longest response allowed. `repetition`: stopped
    early because it repeats itself. `aborted`: given up by the engine or the job; it has no verdict.
    """

    FINISHED = "finished"
    CUT_BY_BUDGET = "cut_by_budget"
    CUT_BY_LIMIT = "cut_by_limit"
    REPETITION = "repetition"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of one response.

    `context_ids`: [c], everything before it: the prompt through the chat template, and earlier segments.
    `response_ids`: [n], the tokens sampled here, the end-of-sequence token included where the model wrote it. The loss
    looks at each of these n tokens and at no other. `behaviour_log_probs`: [n], nats, the sampler's.
    `reference_log_probs`: [n], nats, the trainer's under the weights that sampled: None until it has computed them,
    and for good where no loss looks at the segment.
    `iteration`: in which it was sampled; `weight_version`: how many weight swaps the sampling weights were. `error`: the
    engine's reason, where it aborted.

    The arrays are copies that can't be written to. Raises ValueError where an invariant does not hold.
    """

    problem_id: str
    sample_index: int
    segment_index: int
    iteration: int
    weight_version: int
    context_ids: Ids
    response_ids: Ids
    behaviour_log_probs: LogProbs
    status: SegmentStatus
    reference_log_probs: LogProbs | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        for name in ("sample_index", "segment_index", "iteration", "weight_version"):
            _require(getattr(self, name) >= 0, f"{name} is negative")
        for name in ("context_ids", "response_ids"):
            ids = self._freeze(name, np.int64)
            _require(not len(ids) or int(ids.min()) >= 0, f"{name} holds a negative token id")
        _require(len(self.context_ids) > 0, "context_ids is empty: the first token would have no prediction")
        _require(
            len(self.response_ids) > 0 or self.status is SegmentStatus.ABORTED,
            f"a segment with status {self.status} holds at least one token",
        )
        for name in ("behaviour_log_probs", "reference_log_probs"):
            if getattr(self, name) is None:
                continue
            values = self._freeze(name, np.float32)
            _require(
                len(values) == len(self.response_ids), f"{name} has {len(values)} entries for {self.tokens} tokens"
            )
            _require(bool(np.isfinite(values).all()), f"{name} holds a value that is not finite")
            _require(not len(values) or float(values.max()) <= ROUNDING, f"{name} holds a log-probability above 0")

    def _freeze(self, name: str, kind: Any) -> npt.NDArray[Any]:
        given = np.asarray(getattr(self, name))
        whole_numbers = not len(given) or np.issubdtype(given.dtype, np.integer)
        _require(kind is not np.int64 or whole_numbers, f"{name} holds no whole numbers")
        values = np.array(given, dtype=kind)
        _require(values.ndim == 1, f"{name} has {values.ndim} dimensions, not 1")
        values.flags.writeable = False
        object.__setattr__(self, name, values)
        return values

    @property
    def tokens(self) -> int:
        """Length of the response part, in tokens."""
        return len(self.response_ids)

    @property
    def to_be_continued(self) -> bool:
        return self.status is SegmentStatus.CUT_BY_BUDGET

    def may_be_in_loss(self, loss_on: LossOn) -> bool:
        """Whether the loss may come to look at it, and it therefore needs a reference in the iteration that sampled it.

        `all`: every segment may. `current`: the one in which the response ended, so never one that is to be continued.
        """
        return self.tokens > 0 and (loss_on == "all" or not self.to_be_continued)

    def with_reference(self, log_probs: LogProbs) -> Segment:
        """The segment with the trainer's log-probs under the sampling weights. They are set once.

        Raises ValueError where they are set already: later weights must not stand in for those that sampled.
        """
        _require(self.reference_log_probs is None, "reference_log_probs are set already")
        return replace(self, reference_log_probs=log_probs)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"segment: {what}")
