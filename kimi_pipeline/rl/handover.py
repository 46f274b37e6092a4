"""Hand-over: the trainer's weights into the colocated vLLM, and the canary that proves they arrived [2.6.3].

Belongs here: the swap in place, the check of log-probs after it. Does not belong here: gathering weights
(`training/engine.py`), starting the engine (`inference/vllm_engine.py`).

A swap can go wrong without a word: `reload_weights` keeps what it is not given (a tied head that is not named), and a
prefix cache of the old weights would answer for the new ones. So after every swap vLLM samples a few tokens from fixed
prompts and the trainer scores them; where the two differ by more than rounding, the job stops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.rl.rollout import PURPOSE
from kimi_pipeline.training.packing import collate

if TYPE_CHECKING:
    import torch

    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.training.engine import Trainer

CANARY_PROMPTS = 4
CANARY_TOKENS = 8


class HandOverError(RuntimeError):
    """Sampler and trainer do not hold the same weights: what would be sampled is not from the policy."""


def hand_over(carrier: VllmCarrier, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Load named weights into vLLM in place and forget what the old ones computed. Nothing may be decoding.

    `weights` may be a generator that gathers them one by one on all ranks (ZeRO-3): vLLM takes them in its order.
    """
    if carrier.engine.has_unfinished_requests():
        raise HandOverError("weights can't be swapped while requests are decoding")
    carrier.engine.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
    if not carrier.engine.reset_prefix_cache():
        raise HandOverError("the prefix cache of the old weights could not be emptied")


class Canary:
    """Compares log-probs of sampled tokens, by vLLM and by the trainer, on the same few prompts each time.

    `limit`: the largest gap in nats a token that rounding explains (1e-4 in float32).
    """

    def __init__(self, prompts: Sequence[Sequence[int]], *, temperature: float, limit: float, pad_id: int) -> None:
        self._prompts = [tuple(prompt) for prompt in prompts[:CANARY_PROMPTS]]
        self._temperature = temperature
        self._limit = limit
        self._pad_id = pad_id

    def check(self, trainer: Trainer, carrier: VllmCarrier, iteration: int) -> float:
        """The largest gap on any rank. Raises HandOverError where it exceeds the limit or is no number."""
        import torch

        requests = [self._request(number, prompt, iteration) for number, prompt in enumerate(self._prompts)]
        done = sorted(carrier.generate(requests), key=lambda one: one.request.sample_index)
        if failed := [one.error for one in done if not one.token_ids]:
            raise HandOverError(f"iteration {iteration}: vLLM did not answer after the weight swap: {failed[0]}")
        batch = collate(
            [np.array(prompt, dtype=np.int64) for prompt in self._prompts],
            [np.array(one.token_ids, dtype=np.int64) for one in done],
            self._pad_id,
        )
        with torch.no_grad():
            ours = trainer.scores(batch, self._temperature).log_probs.float().cpu().numpy()
        theirs = np.concatenate([np.array(one.logprobs, dtype=np.float32) for one in done])
        own = float(np.abs(ours - theirs).max())
        (gap,) = trainer.ranks.max([own if math.isfinite(own) else math.inf])
        if not gap <= self._limit:
            raise HandOverError(
                f"iteration {iteration}: after the weight swap vLLM's log-probs of sampled tokens are up to {gap:.2e} nats "
                f"from the trainer's, rl.max_logprob_gap is {self._limit:g}: the sampler does not hold the policy's weights"
            )
        return gap

    def _request(self, number: int, prompt: tuple[int, ...], iteration: int) -> SampleRequest:
        return SampleRequest(
            problem_id="canary",
            purpose=PURPOSE,
            checkpoint="",
            template="",
            user_message="",
            sampling=Sampling(self._temperature, CANARY_TOKENS),
            sample_index=number,
            run_seed=0,
            origin=f"canary:{iteration}",
            iteration=iteration,
            prompt_token_ids=prompt,
        )
