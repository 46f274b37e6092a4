"""Real responses to verify: SmolLM2-135M-Instruct on GSM8K and MATH train, drawn once into a home.

Belongs here: the problems, the prompt, drawing. Does not belong here: what is measured on them (`verifying.py`).

Run as `python -m kimi_pipeline.bench.responses FOLDER PROBLEMS`: vLLM leaves threads behind that a measurement must not
share its process with.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.agreement import DATA, require
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

COMMAND = "bench verifier"
TO_CONVERT = ("gguf==0.19.0", "accelerate==1.15.0")  # no other part of the project needs them
SAMPLES = 8
MAX_TOKENS, WINDOW = 256, 1024
PROMPT = "{problem}\n\nThink step by step, and put your final answer in \\boxed{{}}."
Group = dict[str, Any]  # {"reference", "responses": [8 texts]}


def responses(home: Home, problems: int) -> list[Group]:
    """`problems` of each set with eight responses each, from the home or drawn now.

    Raises UserError without `../shared` or where drawing fails.
    """
    folder = home.root / "bench" / "verifier"
    path = folder / f"responses-{problems}.jsonl"
    if not path.is_file():
        require(DATA, COMMAND)
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / "SmolLM2-135M-Instruct"
        if not (model / "config.json").is_file():
            script = require(DATA.parent / "tools" / "smollm2.py", COMMAND)
            extra = folder / "tools"
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            _child([*install, "--target", str(extra), *TO_CONVERT], "installing what converts SmolLM2", extra)
            _child([str(script), str(model)], "converting SmolLM2", extra)
        _child(["-m", __name__, str(folder), str(problems)], f"drawing {2 * problems * SAMPLES} responses")
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def _child(arguments: list[str], what: str, extra: Path | None = None) -> None:
    """Run Python; `extra` is a folder with libraries of its own."""
    print(f"bench: {what}", file=sys.stderr, flush=True)
    path = os.pathsep.join(str(one) for one in (CHECKOUT, extra) if one)
    done = subprocess.run(
        [sys.executable, *arguments], stdout=sys.stderr, env=os.environ | {"PYTHONPATH": path}, check=False
    )
    if done.returncode:
        raise UserError(f"{COMMAND}: {what} failed: the reason is above")


def questions(problems: int) -> list[tuple[str, str]]:
    """(problem, reference): the same number of each set, chosen by a fixed seed."""
    rng = random.Random(0)
    found = []
    for name, question in (("gsm8k_train", "question"), ("math_train", "problem")):
        lines = require(DATA / f"{name}.jsonl", COMMAND).read_text().strip().split("\n")
        for row in map(json.loads, rng.sample(lines, problems)):
            found.append((row[question], row["answer"].rpartition("####")[2].strip()))
    return found


def draw(folder: Path, problems: int) -> None:
    """Write `responses-PROBLEMS.jsonl` in `folder`, whole or not at all."""
    from kimi_pipeline.inference.request import SampleRequest, Sampling
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.profiles.sections import Inference

    asked = questions(problems)
    carrier = VllmCarrier(
        folder / "SmolLM2-135M-Instruct", Inference(), window=WINDOW, dtype="bfloat16", logprobs=False
    )
    texts: dict[int, list[str]] = {place: [] for place in range(len(asked))}
    requests = [
        SampleRequest(
            str(place), "evaluation", "smollm2", "boxed", PROMPT.format(problem=problem), Sampling(0.8, MAX_TOKENS),
            index, 0, "smollm2",
        )
        for place, (problem, _) in enumerate(asked)
        for index in range(SAMPLES)
    ]  # fmt: skip
    places = {request.sample_id: int(request.problem_id) for request in requests}
    for done, completion in enumerate(carrier.generate(requests), 1):
        texts[places[completion.request.sample_id]].append(completion.text or "")
        if done % 200 == 0:
            print(f"bench: {done} of {len(requests)} responses", file=sys.stderr, flush=True)
    carrier.close()
    rows = [{"reference": reference, "responses": texts[place]} for place, (_, reference) in enumerate(asked)]
    path = folder / f"responses-{problems}.jsonl"
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in rows))
    part.replace(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), int(sys.argv[2]))
