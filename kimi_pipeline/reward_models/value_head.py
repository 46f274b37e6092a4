"""The Classic RM's model: a causal language model with a value head, one scalar a sequence [2.3.5], as in InstructGPT.

Belongs here: the module that trains, loading it from a policy or from its own folder. Does not belong here: the loss and
the job (`classic.py`).

It is a Hugging Face sequence classifier with one label, so that its folder is loaded by transformers and served by vLLM as
it is. The scalar is the logit that the response is correct; the head begins at zero: every probability at one half.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from kimi_pipeline.errors import UserError
from kimi_pipeline.training.policy import without_dropout

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEAD = "score"  # what transformers calls the head of a sequence classifier
ARCHITECTURE = "ForSequenceClassification"


class ValueModel(nn.Module):
    """Wraps a Hugging Face sequence classifier with one label; `model` stays its module under its own names."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """`input_ids` [rows, width], padded on the right; `positions` [rows], indices of the last real tokens into the
        flattened [rows * width]. Returns [rows], float32: one scalar a sequence."""
        hidden = self.model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        values: torch.Tensor = self.model.get_submodule(HEAD)(hidden.flatten(0, 1)[positions])
        return values.float().squeeze(-1)


def load_value_model(folder: Path, dtype: str) -> ValueModel:
    """The value model on the backbone of a causal model's folder with a fresh head, or the one that a folder holds.

    Raises UserError where transformers knows no such classifier of this architecture.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    config = AutoConfig.from_pretrained(folder)
    fresh = not is_value_model(config)
    config.num_labels = 1
    without_dropout(config)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder, config=config, dtype=getattr(torch, dtype))
    except ValueError:
        raise UserError(
            f"model folder {folder}: transformers has no value head for {config.model_type} models"
        ) from None
    head = getattr(model, HEAD, None)
    if not isinstance(head, nn.Linear):
        raise UserError(f"model folder {folder}: {type(model).__name__} has no linear head {HEAD!r}: use another model")
    if fresh:
        nn.init.zeros_(head.weight)
    return ValueModel(model)


def is_value_model(config: object) -> bool:
    """Whether a model's config says that the folder holds a value model."""
    architectures = getattr(config, "architectures", None) or []
    return any(name.endswith(ARCHITECTURE) for name in architectures)
