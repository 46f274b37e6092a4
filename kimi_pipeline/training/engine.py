"""The one trainer: a policy under DeepSpeed (ZeRO 0 to 3), on CPUs over gloo or GPUs over nccl, one rank or many.

Belongs here: the optimizer and its steps, forgetting its moments, weights handed out under their Hugging Face names,
saving. Does not belong here: what is trained on and with which loss (`sft.py`, `rl/`), starting ranks (`runtime.py`).

Gradients are *summed* over the ranks and over the backward passes of a step: callers divide their losses by counts that
hold for all ranks together, so that the number of ranks and of micro-batches changes no update.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import deepspeed
import torch
from deepspeed.runtime.zero.offload_config import OffloadStateTypeEnum

from kimi_pipeline.checkpoints import MANIFEST, check_model_folder
from kimi_pipeline.errors import UserError
from kimi_pipeline.training.optimizers import Rule, build_optimizer
from kimi_pipeline.training.packing import TokenBatch
from kimi_pipeline.training.policy import Policy, TokenScores, load_model
from kimi_pipeline.training.runtime import Ranks

TOKENIZER_SUFFIXES = (".json", ".txt", ".model", ".jinja")
WRITTEN_BY_THE_MODEL = ("config.json", "generation_config.json", "model.safetensors.index.json", MANIFEST)


STATE_TAG = "state"


class NotFinite(RuntimeError):
    """A gradient is NaN or infinite: no step was taken, the weights are those before the batch."""


@dataclass(frozen=True)
class EngineSettings:
    """How to train. `learning_rate` is the default of `Trainer.step`. Moments of AdamW: the report is silent; ours are
    the usual ones for language models. Gradient norms above `max_grad_norm` are scaled down to it."""

    zero_stage: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    learning_rate: float = 1e-3
    max_grad_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    optimizer: Rule = "adamw"

    def __post_init__(self) -> None:
        if self.optimizer == "muon" and self.zero_stage > 0:
            raise UserError("optimizer muon needs whole matrices: set the ZeRO stage to 0, or use adamw")


def load_policy(folder: Path, dtype: str) -> Policy:
    return Policy(load_model(folder, dtype))


class Trainer:
    """A policy that can be trained. Every method but those of plain reading is collective: all ranks call it.

    `load` makes another module of a folder instead (a value model), whose forward pass is then called through `engine`.
    """

    def __init__(
        self,
        folder: Path,
        settings: EngineSettings,
        ranks: Ranks,
        load: Callable[[Path, str], Any] = load_policy,
    ) -> None:
        """Load the model of `folder`. Raises UserError where it is no model folder with a tokenizer."""
        check_model_folder(folder)
        self.folder = folder
        self.settings = settings
        self.ranks = ranks
        policy = load(folder, settings.dtype).to(ranks.device)
        self._norm = math.nan
        optimizer = build_optimizer(
            policy.named_parameters(), settings.optimizer, settings.learning_rate, settings.betas, settings.weight_decay
        )
        # ZeRO measures and clips the norm itself; plain torch (stage 0, float32) needs to be asked before its step.
        self._plain = settings.zero_stage == 0 and settings.dtype == "float32"
        if self._plain:
            optimizer.register_step_pre_hook(self._clip_plain)
        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        self.engine, *_ = deepspeed.initialize(
            model=policy, optimizer=optimizer, config=_config(settings), dist_init_required=False
        )
        self.policy = policy
        # ZeRO's own set-up takes one step on zero gradients, which would count in Adam's bias correction.
        self.reset_optimizer()

    # -- forward and backward -----------------------------------------------------------------------------------

    def scores(self, batch: TokenBatch, temperature: float = 1.0, entropy: bool = False) -> TokenScores:
        """Log-probs (and entropies) of the batch's response tokens, [n] each, on this rank's device."""
        batch = batch.to(self.ranks.device)
        scores: TokenScores = self.engine(batch.input_ids, batch.positions, batch.targets, temperature, entropy)
        return scores

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss. ZeRO 2 and 3 communicate here: all ranks call it equally often."""
        self.engine.backward(loss * self.ranks.size)  # DeepSpeed averages over ranks

    def step(self, learning_rate: float | None = None) -> float:
        """One optimizer step on what was added up; returns the gradient's norm before clipping.

        Raises NotFinite where that norm is NaN or infinite; the weights are then untouched.
        """
        rate = self.settings.learning_rate if learning_rate is None else learning_rate
        for group in self.engine.basic_optimizer.param_groups:
            group["lr"] = rate
        self.engine.step()
        if not self._plain:
            self._norm = float(self.engine.get_global_grad_norm())
        if not math.isfinite(self._norm):
            raise NotFinite(f"gradient norm {self._norm}")
        return self._norm

    def reset_optimizer(self) -> None:
        """Forget the moments and the step count, as at the start of each RL iteration [2.3.1]."""
        for state in self.engine.basic_optimizer.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()

    def _clip_plain(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm, error_if_nonfinite=False)
        self._norm = float(norm)
        if not math.isfinite(self._norm):
            raise NotFinite(f"gradient norm {self._norm}")

    # -- state --------------------------------------------------------------------------------------------------

    def save_state(self, folder: Path) -> None:
        """Write weights and optimizer so that training goes on bit for bit; every rank writes its share."""
        with _quiet():
            self.engine.save_checkpoint(str(folder), tag=STATE_TAG, save_latest=False)

    def load_state(self, folder: Path) -> None:
        """Take what `save_state` wrote, with the same number of ranks and the same ZeRO stage."""
        with _quiet():
            self.engine.load_checkpoint(str(folder), tag=STATE_TAG)

    def offload_states(self) -> None:
        """Move optimizer state, master weights and gradient buffers to the host; the weights stay on the device."""
        kinds = OffloadStateTypeEnum
        moved = [kinds.optim_states, kinds.hp_params, kinds.lp_grads, kinds.contiguous_grad_buffer]
        self.engine.offload_states(include=moved)

    def reload_states(self) -> None:
        """Bring back what `offload_states` moved."""
        self.engine.reload_states()

    # -- weights ------------------------------------------------------------------------------------------------

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every weight under its Hugging Face name, whole, one at a time (gathered under ZeRO-3).

        A tied weight comes under each of its names: a receiver that keeps two copies must get both.
        """
        sharded = self.settings.zero_stage == 3
        for name, parameter in self.policy.model.named_parameters(remove_duplicate=False):
            with deepspeed.zero.GatheredParameters([parameter]) if sharded else nullcontext():
                # A gathered parameter is given back at the end of the block: what leaves it must be a copy.
                weight = parameter.detach().clone() if sharded else parameter.detach()
            yield name, weight

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """All weights on the CPU of rank 0; None on the other ranks (which take part in gathering them)."""
        kept: dict[str, torch.Tensor] = {}
        for name, weight in self.named_weights():
            if self.ranks.is_master:
                kept[name] = weight.to("cpu")
        return kept if self.ranks.is_master else None

    def write(self, folder: Path, weights: dict[str, torch.Tensor]) -> None:
        """Write `whole_weights()` as a Hugging Face folder with the tokenizer it came with. Rank 0 alone calls it."""
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self.policy.model.save_pretrained(folder, state_dict=weights, safe_serialization=True)
        for path in sorted(self.folder.iterdir()):
            if path.suffix in TOKENIZER_SUFFIXES and path.name not in WRITTEN_BY_THE_MODEL:
                shutil.copyfile(path, folder / path.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without DeepSpeed's lines about every file it writes."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _config(settings: EngineSettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,  # ours are batches of any size: DeepSpeed only needs a number
        "gradient_clipping": settings.max_grad_norm,
        # `step` ends a batch, however many backward passes it took.
        "managed_gradient_accumulation": False,
        "zero_optimization": {"stage": settings.zero_stage, "overlap_comm": False},
        "steps_per_print": None,
        "log_level": "error",
    }
    if settings.zero_stage == 0 and settings.dtype == "float32":
        config["gradient_clipping"] = 0.0
    if settings.dtype == "bfloat16":
        config["bf16"] = {"enabled": True}
    return config
