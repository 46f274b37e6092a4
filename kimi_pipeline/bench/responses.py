"""Real responses to verify: a chat model's on GSM8K and MATH train, drawn once into a home.

Belongs here: the problems, the prompt, drawing. Does not belong here: what is measured on them (`verifying.py`).

Run as `python -m kimi_pipeline.bench.responses FILE DATA MODEL PROBLEMS`: vLLM leaves threads behind that a measurement must
not share its process with.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.real_rows import FIELDS, data_folder, read
from kimi_pipeline.corpora.normalise import final_answer
from kimi_pipeline.digests import digest, folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.home import CHECKOUT, Home

COMMAND = "bench verifier"
SAMPLES = 8
MAX_TOKENS, WINDOW = 256, 1024
PROMPT = "{problem}\n\nThink step by step, and put your final answer in \\boxed{{}}."
Group = dict[str, Any]  # {"reference", "responses": [8 texts]}


def responses(home: Home, problems: int, data: Path | None, model: Path | None) -> list[Group]:
    """`problems` of each set with eight responses each of the model in a Hugging Face folder, from the home or drawn now.

    Raises UserError without the folders or where drawing fails.
    """
    data = data_folder(data, COMMAND, [name for name, _, _ in FIELDS])
    if model is None or not (model / "config.json").is_file():
        raise UserError(f"{COMMAND} needs --model FOLDER of a small chat model, such as SmolLM2-135M-Instruct")
    path = kept_in(home, problems, data, model)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing = ["-m", __name__, str(path), str(data), str(model), str(problems)]
        print(f"bench: drawing {2 * problems * SAMPLES} responses", file=sys.stderr, flush=True)
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run([sys.executable, *drawing], stdout=sys.stderr, env=environment, check=False)
        if done.returncode:
            raise UserError(f"{COMMAND}: drawing responses failed: the reason is above")
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def kept_in(home: Home, problems: int, data: Path, model: Path) -> Path:
    """Where the responses of this model to these problems are kept."""
    named = digest([folder_digest(model), questions(data, problems)])
    return home.root / "bench" / "verifier" / f"responses-{problems}-{named[:8]}.jsonl"


def questions(data: Path, problems: int) -> list[tuple[str, str]]:
    """(problem, reference): the same number of each set, in turn, in an order drawn from a fixed seed. Those of a smaller
    number are the first of a larger one."""
    found = []
    for name, question, answer in FIELDS:
        rows = read(data / f"{name}.jsonl", question, answer)
        asked = [(row[question], reference) for row in rows if (reference := final_answer(str(row[answer] or "")))]
        random.Random(0).shuffle(asked)
        found.append(asked[:problems])
    return [one for pair in zip(*found, strict=True) for one in pair]


def draw(path: Path, data: Path, model: Path, problems: int) -> None:
    """Write the responses to `path`. Each problem is kept as soon as its responses are there, so that a drawing that was
    killed goes on with the others; a response depends on its own seed alone."""
    from kimi_pipeline.inference.request import SampleRequest, Sampling
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.profiles.sections import Inference

    # Sixteen problems at a time, and a cache that holds them all: what is preempted would be computed again.
    # float32: a CPU without bfloat16 units works it out piece by piece, many times slower.
    engine = Inference(max_num_seqs=16 * SAMPLES, kv_cache_gib=3)
    asked = questions(data, problems)
    part = path.with_suffix(".part")
    found = _kept(part)
    requests = [
        SampleRequest(
            str(place), "evaluation", model.name, "boxed", PROMPT.format(problem=problem), Sampling(0.8, MAX_TOKENS),
            index, 0, model.name,
        )
        for place, (problem, _) in enumerate(asked) if place not in found
        for index in range(SAMPLES)
    ]  # fmt: skip
    if requests:
        carrier = VllmCarrier(model, engine, window=WINDOW, dtype="float32", logprobs=False)
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
    file, data, model = map(Path, sys.argv[1:4])
    draw(file, data, model, int(sys.argv[4]))
