"""The same work by TRL's GRPOTrainer with its own generation, in TRL's own venv.

    python benchmarks/trl_grpo.py SPEC RESULT

SPEC and RESULT are those of `plain_loop.py`. An iteration is one generation batch: `groups` x `samples` responses, on which
`mini_steps` optimizer steps are taken. TRL's defaults hold but for what the comparison fixes (precision, batch, lengths,
rate) and gradient checkpointing, which is off: it would cost TRL time that nobody needs to spend at this size.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

SPEC = json.loads(Path(sys.argv[1]).read_text())
os.environ.update(
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS=str(SPEC["threads"]),
    OMP_WAIT_POLICY="passive",
    TRANSFORMERS_VERBOSITY="error",
)

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

ANSWER = re.compile(r"\\boxed\{(.*?)\}")


class Clock(TrainerCallback):
    """When each optimizer step ended, by the clock and in CPU seconds of this process."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.ends = [_now()]

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(_now())


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def main() -> None:
    torch.set_num_threads(SPEC["threads"])
    lengths: list[float] = []
    rewards: list[float] = []

    def right(completions: list[str], completion_ids: list[list[int]], answer: list[str], **_: Any) -> list[float]:
        found = [float(ANSWER.findall(text)[-1:] == [want]) for text, want in zip(completions, answer, strict=True)]
        lengths.append(sum(map(len, completion_ids)) / len(completion_ids))
        rewards.append(sum(found) / len(found))
        return found

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(SPEC["model"], dtype=torch.float32),
            processing_class=AutoTokenizer.from_pretrained(SPEC["model"]),
            reward_funcs=right,
            train_dataset=Dataset.from_list(
                [{"prompt": one["text"], "answer": one["answer"]} for one in SPEC["prompts"]]
            ),
            callbacks=[clock],
            args=GRPOConfig(
                output_dir=folder,
                use_cpu=SPEC["device"] == "cpu",
                bf16=SPEC["dtype"] == "bfloat16",
                gradient_checkpointing=False,
                per_device_train_batch_size=SPEC["groups"] * SPEC["samples"] // SPEC["mini_steps"],
                steps_per_generation=SPEC["mini_steps"],
                num_generations=SPEC["samples"],
                max_completion_length=SPEC["max_tokens"],
                temperature=1.0,
                learning_rate=SPEC["learning_rate"],
                lr_scheduler_type="constant",
                adam_beta2=0.95,
                max_steps=SPEC["iterations"] * SPEC["mini_steps"],
                seed=SPEC["seed"],
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            ),
        )
        trainer.train()
    ends = clock.ends[:: SPEC["mini_steps"]]
    seconds, cpu_seconds = ([after[i] - before[i] for before, after in pairwise(ends)] for i in (0, 1))
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rewards": rewards, "tokens": lengths}
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
