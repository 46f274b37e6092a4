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
from kimi_pipeline.files import write_whole
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
    """(problem, reference): the same number of each set, in turn, in an order drawn from a fixed seed. Those of a smaller
    number are the first of a larger one."""
    found = []
    for name, question in (("gsm8k_train", "question"), ("math_train", "problem")):
        lines = require(DATA / f"{name}.jsonl", COMMAND).read_text().strip().split("\n")
        random.Random(0).shuffle(lines)
        rows = map(json.loads, lines[:problems])
        found.append([(row[question], row["answer"].rpartition("####")[2].strip()) for row in rows])
    return [one for pair in zip(*found, strict=True) for one in pair]


def draw(folder: Path, problems: int) -> None:
    """Write `responses-PROBLEMS.jsonl` in `folder`. Each problem is kept as soon as its responses are there, so that a
    drawing that was killed goes on with the others; a response depends on its own seed alone."""
    from kimi_pipeline.inference.request import SampleRequest, Sampling
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.profiles.sections import Inference

    # Sixteen problems at a time, and a cache that holds them all: what is preempted would be computed again.
    # float32: a CPU without bfloat16 units works it out piece by piece, many times slower.
    engine = Inference(max_num_seqs=16 * SAMPLES, kv_cache_gib=3)
    asked = questions(problems)
    path = folder / f"responses-{problems}.jsonl"
    part = path.with_suffix(".part")
    found = _kept(part)
    requests = [
        SampleRequest(
            str(place), "evaluation", "smollm2", "boxed", PROMPT.format(problem=problem), Sampling(0.8, MAX_TOKENS),
            index, 0, "smollm2",
        )
        for place, (problem, _) in enumerate(asked) if place not in found
        for index in range(SAMPLES)
    ]  # fmt: skip
    if requests:
        carrier = VllmCarrier(folder / "SmolLM2-135M-Instruct", engine, window=WINDOW, dtype="float32", logprobs=False)
        texts: dict[int, list[str]] = {int(request.problem_id): [] for request in requests}
        with part.open("a") as kept:
            for completion in carrier.generate(requests):
                place = int(completion.request.problem_id)
                texts[place].append(completion.text or "")
                if len(texts[place]) == SAMPLES:
                    found[place] = {"reference": asked[place][1], "responses": texts[place]}
                    kept.write(json.dumps({"place": place} | found[place]) + "\n")
                    kept.flush()
                    if len(found) % 20 == 0:
                        print(f"bench: responses to {len(found)} of {len(asked)} problems", file=sys.stderr, flush=True)
        carrier.close()
    write_whole(path, "".join(json.dumps(found[place]) + "\n" for place in range(len(asked))))
    part.unlink()


def _kept(part: Path) -> dict[int, Group]:
    """What a killed drawing left, by place; a last line that was cut off is drawn again."""
    found: dict[int, Group] = {}
    lines = part.read_text().split("\n") if part.is_file() else []
    for line in lines[:-1]:
        row = json.loads(line)
        found[row.pop("place")] = row
    if lines and lines[-1]:
        part.write_text("".join(f"{line}\n" for line in lines[:-1]))
    return found


if __name__ == "__main__":
    draw(Path(sys.argv[1]), int(sys.argv[2]))
