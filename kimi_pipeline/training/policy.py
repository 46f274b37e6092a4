"""A causal language model as what training needs of it: the log-probabilities of response tokens.

Belongs here: the forward pass up to log-probs and entropies. Does not belong here: losses (`sft.py`,
`rl/mirror_descent.py`), the optimizer and ranks (`engine.py`).

Logits are computed at the positions that predict a response token and nowhere else: a prompt's logits would cost as
much and are never looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from kimi_pipeline.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

LOGITS_AT_ONCE = 2**27  # entries of float32 logits that may live at a time (0.5 GiB); more is recomputed backwards
PROBE_TOLERANCE = 1e-3


class TokenScores(NamedTuple):
    """Per response token, [n] each, float32: log-probability of the token, entropy of its distribution (nats).

    `entropies` is empty where it was not asked for, and never carries a gradient.
    """

    log_probs: torch.Tensor
    entropies: torch.Tensor


class Policy(nn.Module):
    """Wraps a Hugging Face causal model; `model` stays the Hugging Face module under its own names."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        positions: torch.Tensor,
        targets: torch.Tensor,
        temperature: float = 1.0,
        entropy: bool = False,
    ) -> TokenScores:
        """`input_ids` [rows, width], `positions` and `targets` [n] as in `TokenBatch`; returns [n] each.

        The distribution is softmax(logits / temperature): the one that a sampler at this temperature draws from.
        """
        hidden = self.model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        hidden = hidden.flatten(0, 1)[positions]
        head = self.model.get_output_embeddings()
        rows = max(1, LOGITS_AT_ONCE // head.out_features)
        if len(hidden) <= rows:
            return TokenScores(*_scores(head, hidden, targets, temperature, entropy))
        parts = [
            checkpoint(
                _scores,
                head,
                hidden[at : at + rows],
                targets[at : at + rows],
                temperature,
                entropy,
                use_reentrant=False,
            )
            for at in range(0, len(hidden), rows)
        ]
        return TokenScores(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _scores(
    head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, temperature: float, entropy: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = head(hidden).float()
    if temperature != 1.0:
        logits = logits / temperature
    log_probs = torch.log_softmax(logits, dim=-1)
    entropies = log_probs.new_empty(0)
    if entropy:
        with torch.no_grad():
            entropies = -(log_probs.exp() * log_probs).sum(dim=-1)
    return log_probs.gather(1, targets[:, None]).squeeze(1), entropies


def load_model(folder: Path, dtype: str) -> PreTrainedModel:
    """The Hugging Face model in `folder`, in `dtype`, without dropout: its log-probs must be the sampler's.

    Raises UserError where the architecture's logits are not its head applied to its last hidden state.
    """
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(folder)
    without_dropout(config)
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=getattr(torch, dtype))
    _check_head(model, folder)
    return model


def without_dropout(config: PretrainedConfig) -> None:
    """Set every dropout of a Hugging Face config to zero, in place."""
    for name in vars(config):
        if name.endswith(("dropout", "pdrop")):
            setattr(config, name, 0.0)


def _check_head(model: PreTrainedModel, folder: Path) -> None:
    probe = torch.arange(1, 5)[None]
    with torch.no_grad():
        whole = model(input_ids=probe, use_cache=False).logits.float()
        ours = model.get_output_embeddings()(
            model.base_model(input_ids=probe, use_cache=False).last_hidden_state
        ).float()
    if not torch.allclose(whole, ours, atol=PROBE_TOLERANCE, rtol=PROBE_TOLERANCE):
        raise UserError(
            f"model folder {folder}: {type(model).__name__} changes its logits after the head (scaling or soft cap), "
            f"which training does not support: use another architecture"
        )
