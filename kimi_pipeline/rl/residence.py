"""Whose turn it is on the GPU: trainer and vLLM share one, and each gives its memory back while the other works [2.6.3].

Belongs here: the order in which memory moves. Does not belong here: the weights' way over (`handover.py`), how an engine
or the trainer moves its own (`inference/vllm_carrier.py`, `training/engine.py`).

The circle of an iteration: rollout (vLLM awake, the trainer's optimizer state and master weights on the host) -> training
(vLLM asleep) -> hand-over (vLLM's weights allocated, no key-value cache yet: both models are there, nothing else) ->
rollout. The trainer's own weights stay: the canary needs them beside vLLM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.training.engine import Trainer


class Residence:
    """Moves memory. `sleep_level`, of vLLM: 0 never, 1 its weights go to the host, 2 they are dropped (they come anew at each
    hand-over, so this costs nothing and gives most). `offload`: the trainer's optimizer state goes to the host."""

    def __init__(self, carrier: VllmCarrier, trainer: Trainer, *, sleep_level: int, offload: bool) -> None:
        self._carrier, self._trainer = carrier, trainer
        self._level, self._offload = sleep_level, offload
        self._asleep = self._moved = False

    def to_training(self) -> None:
        """After the rollouts."""
        if self._level:
            self._carrier.sleep(self._level)
            self._asleep = True
        if self._moved:
            self._trainer.reload_states()
            self._moved = False

    def to_hand_over(self) -> None:
        """After the last step and the checkpoint of what it left."""
        if self._asleep:
            self._carrier.wake("weights")

    def to_rollout(self) -> None:
        """After the hand-over, before the canary."""
        if self._offload:
            self._trainer.offload_states()
            self._moved = True
        if self._asleep:
            self._carrier.wake("kv_cache")
            self._asleep = False
