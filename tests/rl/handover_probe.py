"""Run in a process of its own by test_handover.py: one trainer, one vLLM, right and wrong weight swaps.

`python -m tests.rl.handover_probe FOLDER`: FOLDER holds a model whose head is tied to its embedding, and gets a JSON object: for
each case the canary's gap, or the error it raised.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kimi_pipeline.profiles.sections import Inference
from kimi_pipeline.training.runtime import init_distributed, prepare_process

FOUND = "found.json"


def main(folder: Path) -> dict[str, Any]:
    settings = Inference(max_num_seqs=8, kv_cache_gib=0.25, threads=1)
    prepare_process(settings)
    ranks = init_distributed("cpu", 1)

    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.rl.handover import Canary, HandOverError, hand_over
    from kimi_pipeline.training.engine import EngineSettings, Trainer
    from kimi_pipeline.training.packing import collate

    trainer = Trainer(folder, EngineSettings(zero_stage=3), ranks)
    carrier = VllmCarrier(
        folder, settings, window=128, dtype="float32", colocated=True, dummy_weights=True, processed_logprobs=True
    )
    prompts = [tuple(range(start, start + 40)) for start in (10, 60, 110, 160)]
    found: dict[str, Any] = {}

    def check(case: str, temperature: float = 0.8, before: Callable[[], None] = lambda: None) -> None:
        try:
            before()
            canary = Canary(prompts, temperature=temperature, limit=1e-4, pad_id=2)
            found[case] = {"gap": canary.check(trainer, carrier, iteration=len(found))}
        except HandOverError as error:
            found[case] = {"error": str(error)}

    def step() -> None:
        import numpy as np

        batch = collate([np.arange(10, 50)], [np.arange(60, 90)], pad_id=2)
        trainer.backward(-trainer.scores(batch).log_probs.mean())
        trainer.step(3e-3)

    def all_weights() -> None:
        hand_over(carrier, trainer.named_weights())

    def without_head() -> None:
        hand_over(carrier, ((name, weight) for name, weight in trainer.named_weights() if name != "lm_head.weight"))

    def without_emptying_the_cache() -> None:
        carrier.engine.collective_rpc("reload_weights", kwargs={"weights_iterator": trainer.named_weights()})

    check("before any hand-over")
    check("all weights", before=all_weights)
    check("all weights, at another temperature", temperature=1.3)
    step()
    check("a step without a hand-over")
    check("a tied head left out", before=without_head)
    check("all weights again", before=all_weights)
    step()
    check("a prefix cache of the old weights", before=without_emptying_the_cache)
    check("all weights at last", before=all_weights)
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[-1])
    (folder / FOUND).write_text(json.dumps(main(folder)))
    os._exit(0)  # the engine keeps threads that have nothing left to do
