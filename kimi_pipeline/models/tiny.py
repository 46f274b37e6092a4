"""The tiny causal language model that a laptop trains from scratch: a small Llama, by seed, with the one tokenizer.

Belongs here: its configuration and its folder. Does not belong here: training it (`training/`), serving it
(`inference/`). The size is a setting (profiles, section model).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from kimi_pipeline.models.tokenizer import build_tokenizer
from kimi_pipeline.profiles.sections import Model

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM

HEAD_SIZE = 32  # vLLM's attention on CPUs takes no smaller head
FEED_FORWARD = 4  # times the width
ROPE_BASE = 10_000.0
# Of fresh weights, up to this width; above, it falls with the root of the width, to the usual 0.02 at 1,024. 8,000 examples
# of `register` under AdamW at width 64: loss 0.34; with 0.02: 0.62 (one seed each).
INITIAL_RANGE, INITIAL_WIDTH = 0.08, 64
VOCABULARY_MULTIPLE = 8  # the embedding's rows are rounded up, so that ZeRO and tensor parallelism can cut it


def tiny_config(settings: Model) -> LlamaConfig:
    """The architecture. Embeddings are not tied: a tied head is left out of `named_parameters()`, and a weight swap
    would then leave vLLM with the old head without a word."""
    from transformers import LlamaConfig

    tokenizer = build_tokenizer(settings.window)
    rows = -(-len(tokenizer) // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    return LlamaConfig(
        vocab_size=rows,
        hidden_size=settings.width,
        intermediate_size=FEED_FORWARD * settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        head_dim=HEAD_SIZE,
        max_position_embeddings=settings.window,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_BASE},
        tie_word_embeddings=False,
        attention_bias=False,
        initializer_range=INITIAL_RANGE * min(1.0, math.sqrt(INITIAL_WIDTH / settings.width)),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=settings.dtype,
    )


def build_tiny(settings: Model, seed: int) -> LlamaForCausalLM:
    """A freshly initialised model in float32. The same seed gives the same weights; the global random state is kept."""
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: LlamaForCausalLM = LlamaForCausalLM(tiny_config(settings)).float()  # type: ignore[no-untyped-call]
        return model


def save_tiny(settings: Model, seed: int, folder: Path) -> Path:
    """Write a fresh model and the tokenizer as a Hugging Face folder that transformers and vLLM load."""
    model = build_tiny(settings, seed)
    model.save_pretrained(folder, safe_serialization=True)
    build_tokenizer(settings.window).save_pretrained(folder)
    return folder
