"""From examples to batches of token ids: which examples go together, and where the loss looks.

Belongs here: padding, positions of the loss, grouping by length under a token budget. Does not belong here: texts and
chat templates (`examples.py`, `inference/vllm_carrier.py`), the loss (`sft.py`, `rl/mirror_descent.py`).

Examples lie in rows of their own, padded on the right and grouped by length so that little is padding. The report packs
several examples into one sequence [2.5.2]; for the short examples of a small model that costs more than it saves, since
attention over a packed row grows with the square of the row (masked or not, where no varlen kernel exists, as on CPUs).
With padding on the right and causal attention no real token ever sees padding: neither mask nor position ids are
needed, and an example's loss is the same alone or in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Ids = npt.NDArray[np.int64]
PASS_TOKENS = 256  # what a pass costs beside its tokens, in tokens: a few milliseconds of a small model on two cores


@dataclass(frozen=True)
class TokenBatch:
    """Rows of prompt + response, padded on the right, and the places where response tokens are predicted.

    `input_ids`: [rows, width]. `positions`: [n], indices into the flattened [rows * width] hidden states whose next
    token is a response token. `targets`: [n], those tokens. `rows`: [n], the row each belongs to, ascending. The n
    response tokens of all rows lie one after the other: row by row, in order.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor

    @property
    def size(self) -> int:
        return int(self.input_ids.shape[0])

    @property
    def tokens(self) -> int:
        """Response tokens, n."""
        return int(self.targets.shape[0])

    def to(self, device: torch.device) -> TokenBatch:
        return TokenBatch(*(t.to(device) for t in (self.input_ids, self.positions, self.targets, self.rows)))


def collate(prompts: Sequence[Ids], responses: Sequence[Ids], pad_id: int) -> TokenBatch:
    """Put examples into one batch, in the given order.

    Raises ValueError for an empty batch or an empty prompt: without a token before it, a response's first token has no
    prediction.
    """
    import torch

    prompt_lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    if not len(prompts) or not prompt_lengths.all():
        raise ValueError("a batch needs at least one example, and every example at least one prompt token")
    lengths = prompt_lengths + np.array([len(response) for response in responses], dtype=np.int64)
    width = int(lengths.max())
    column = np.arange(width)
    ids = np.full((len(prompts), width), pad_id, dtype=np.int64)
    ids[column < lengths[:, None]] = np.concatenate(
        [part for pair in zip(prompts, responses, strict=True) for part in pair]
    )
    predicts = (column >= prompt_lengths[:, None] - 1) & (column < lengths[:, None] - 1)
    positions = np.flatnonzero(predicts)
    rows = positions // width
    return TokenBatch(
        torch.from_numpy(ids),
        torch.from_numpy(positions),
        torch.from_numpy(ids.reshape(-1)[positions + 1]),
        torch.from_numpy(rows),
    )


def by_budget(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Indices grouped so that rows * longest row of a group stays within `budget` tokens; similar lengths together.

    A row longer than the budget is a group of its own. Every index appears once; the order is by length, ties by index.
    """
    groups: list[npt.NDArray[np.int64]] = []
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        # Sorted ascending: the longest row of order[start:end + 1] is its last.
        if end == len(order) or lengths[order[end]] * (end - start + 1) > budget:
            groups.append(order[start:end])
            start = end
    return groups


def least_padding(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Indices grouped as in `by_budget`, so that the passes over the groups together cost least: `PASS_TOKENS` each, and
    their tokens, padding included.

    Where lengths have a long tail, groups as large as the budget are half padding. For examples that are added up whatever
    their grouping: an optimizer step of its own on each group would be another training. O(n * largest group).
    """
    order = np.argsort(lengths, kind="stable")
    sizes = lengths[order]
    costs = np.zeros(len(order) + 1)  # of the first n examples, grouped as well as can be
    starts = np.zeros(len(order) + 1, dtype=np.int64)  # of the last group of these
    for end in range(1, len(order) + 1):
        width = int(sizes[end - 1])
        first = end - max(1, min(end, budget // width))
        tries = costs[first:end] + PASS_TOKENS + width * np.arange(end - first, 0, -1)
        starts[end] = first + int(np.argmin(tries))
        costs[end] = tries.min()
    groups = []
    end = len(order)
    while end:
        groups.append(order[starts[end] : end])
        end = int(starts[end])
    return groups[::-1]


def in_order(lengths: npt.NDArray[np.int64], budget: int, window: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Batches for a pass over examples whose order matters.

    Only examples within the same `window` of consecutive ones are grouped by length; the batches of a window come in a
    random order (by `seed`), so that lengths don't rise in waves, and the windows in theirs.
    """
    rng = np.random.default_rng(seed)
    found: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(lengths), window):
        groups = by_budget(lengths[start : start + window], budget)
        found.extend(groups[place] + start for place in rng.permutation(len(groups)))
    return found
