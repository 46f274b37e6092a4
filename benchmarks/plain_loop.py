"""RL by equation 3 as one would write it by hand: torch, vLLM, one file; no lineage, no buffer, no checks.

    python benchmarks/plain_loop.py SPEC RESULT

What `kimi-pipeline bench rl` holds the project's loop against. Same loss, same optimizer, same optimizer steps a sample.
Responses of similar lengths share a micro-batch, as anybody would have it who waited for the padding once.
It keeps nothing: no checkpoint, no rollouts, no canary, no seed of a request. It imports nothing of the project.

SPEC (JSON): `model` (folder), `prompts` [{"text", "answer"}], `groups`, `samples`, `max_tokens`, `mini_steps`, `tau`,
`learning_rate`, `iterations`, `window`, `device` ("cpu" or "cuda"), `dtype` (of vLLM, and of autocast on a GPU),
`micro_batch_tokens` (padding included), `gpu_memory_share`, `threads`, `seed`. RESULT (JSON): lists with an entry an
iteration: `seconds`, `rewards` (mean), `tokens` (mean length of a response, with its end token), and by phase `rollout`,
`train`, `hand_over`.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

SPEC = json.loads(Path(sys.argv[1]).read_text())
os.environ.update(
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
    VLLM_NO_USAGE_STATS="1",
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS=str(SPEC["threads"]),
    OMP_WAIT_POLICY="passive",
)
ON_CPU = SPEC["device"] == "cpu"
if ON_CPU:
    os.environ.update(VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_CPU_KVCACHE_SPACE="1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402
from vllm.sampling_params import RequestOutputKind  # noqa: E402

ANSWER = re.compile(r"\\boxed\{(.*?)\}")
MAX_GRAD_NORM = 1.0

Row = tuple[list[int], list[int], float]  # prompt, response, gain


class Loop:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        torch.set_num_threads(spec["threads"])
        torch.manual_seed(spec["seed"])
        self.rng = random.Random(spec["seed"])
        self.queue: list[int] = []
        self.tokenizer = AutoTokenizer.from_pretrained(spec["model"])
        self.model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32).to(spec["device"])
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=spec["learning_rate"], betas=(0.9, 0.95), weight_decay=0.0
        )
        self.llm = LLM(
            spec["model"],
            dtype=spec["dtype"],
            max_model_len=spec["window"],
            max_num_seqs=spec["groups"] * spec["samples"],
            seed=spec["seed"],
            **(
                {
                    "block_size": 32,
                    "enforce_eager": True,
                    "enable_chunked_prefill": False,
                    "max_num_batched_tokens": 8192,
                }
                if ON_CPU
                else {"gpu_memory_utilization": spec["gpu_memory_share"]}
            ),
        )
        self.sampling = SamplingParams(
            n=spec["samples"],
            temperature=1.0,
            max_tokens=spec["max_tokens"],
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        texts = [one["text"] for one in spec["prompts"]]
        self.prompts = self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def iterate(self) -> dict[str, float]:
        began, worked = time.monotonic(), time.process_time()
        chosen = self.draw()
        outputs = self.llm.generate(
            [{"prompt_token_ids": self.prompts[i]} for i in chosen], self.sampling, use_tqdm=False
        )
        responses = [[list(one.token_ids) for one in output.outputs] for output in outputs]
        rewards = torch.tensor(
            [
                [float(ANSWER.findall(text)[-1:] == [self.spec["prompts"][i]["answer"]]) for text in texts]
                for i, texts in zip(chosen, map(self.decode, responses), strict=True)
            ]
        )
        rolled = time.monotonic()
        self.train([self.prompts[i] for i in chosen], responses, rewards)
        trained = time.monotonic()
        self.llm.collective_rpc(
            "reload_weights", kwargs={"weights_iterator": iter(list(self.model.named_parameters()))}
        )
        self.llm.reset_prefix_cache()
        ended = time.monotonic()
        lengths = [len(ids) for group in responses for ids in group]
        return {
            "seconds": ended - began,
            "cpu_seconds": time.process_time() - worked,
            "rollout": rolled - began,
            "train": trained - rolled,
            "hand_over": ended - trained,
            "rewards": float(rewards.mean()),
            "tokens": sum(lengths) / len(lengths),
        }

    def draw(self) -> list[int]:
        """Prompts of an iteration: all of them once, in a random order, then anew."""
        groups = self.spec["groups"]
        if len(self.queue) < groups:
            self.queue += self.rng.sample(range(len(self.prompts)), len(self.prompts))
        chosen, self.queue = self.queue[:groups], self.queue[groups:]
        return chosen

    def decode(self, responses: list[list[int]]) -> list[str]:
        return self.tokenizer.batch_decode(responses, skip_special_tokens=True)

    def train(self, prompts: list[list[int]], responses: list[list[list[int]]], rewards: torch.Tensor) -> None:
        """Equation 3: gain times log-ratio, less tau/2 times its square; the reference is the policy before the steps."""
        gains = (rewards - rewards.mean(dim=1, keepdim=True)).tolist()
        steps, tau = self.spec["mini_steps"], self.spec["tau"]
        parts = []
        for step in range(steps):
            groups = zip(prompts[step::steps], responses[step::steps], gains[step::steps], strict=True)
            rows = [(p, response, gain) for p, own, of in groups for response, gain in zip(own, of, strict=True)]
            parts.append([self.batch(some) for some in micro_batches(rows, self.spec["micro_batch_tokens"])])
        with torch.no_grad():
            references = [[self.log_probs(ids, mask) for ids, mask, _ in part] for part in parts]
        for part, reference in zip(parts, references, strict=True):
            self.optimizer.zero_grad()
            size = sum(len(ids) for ids, _, _ in part)
            for (ids, mask, gain), before in zip(part, reference, strict=True):
                ratios = self.log_probs(ids, mask) - before
                ((tau / 2 * ratios.square() - gain * ratios).sum() / size).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM)
            self.optimizer.step()

    def batch(self, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[rows, width] ids, [rows, width - 1] mask of response tokens, [rows] gains."""
        width = max(len(prompt) + len(response) for prompt, response, _ in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        mask = torch.zeros(len(rows), width - 1)
        for row, (prompt, response, _) in enumerate(rows):
            end = len(prompt) + len(response)
            ids[row, :end] = torch.tensor(prompt + response)
            mask[row, len(prompt) - 1 : end - 1] = 1
        gains = torch.tensor([gain for _, _, gain in rows])
        device = self.spec["device"]
        return ids.to(device), mask.to(device), gains.to(device)

    def log_probs(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """[rows]: the log-probability of each response, a sum over its tokens."""
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.spec["dtype"] == "bfloat16"):
            logits = self.model(ids, use_cache=False).logits[:, :-1]
        tokens = torch.log_softmax(logits.float(), dim=-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (tokens * mask).sum(dim=1)


def micro_batches(rows: list[Row], most: int) -> list[list[Row]]:
    """Rows by length, as many in a batch as `most` tokens allow."""
    found: list[list[Row]] = [[]]
    for row in sorted(rows, key=lambda row: len(row[0]) + len(row[1])):
        if found[-1] and (len(found[-1]) + 1) * (len(row[0]) + len(row[1])) > most:
            found.append([])
        found[-1].append(row)
    return found


def main() -> None:
    loop = Loop(SPEC)
    found: dict[str, list[float]] = {}
    for _ in range(SPEC["iterations"]):
        for name, value in loop.iterate().items():
            found.setdefault(name, []).append(value)
    Path(sys.argv[2]).write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # the engine's threads have nothing left to do


if __name__ == "__main__":
    main()
