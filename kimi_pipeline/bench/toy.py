"""Toy tasks for benches of RL: what a two-layer model learns in seconds, with response lengths that we choose.

Belongs here: prompts, worked answers, the SFT checkpoint that a bench starts from. Does not belong here: what is measured.

A problem asks for one of a few digits; a worked answer ends in some of them, in the right one more often than chance has
it. So reward is neither 0 nor 1, and RL has something to learn: to answer what it was asked for. A problem also names a
word; where lengths have a tail, the word says how long answers to it are, as hard problems take longer ones.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.profiles import Profile
from kimi_pipeline.stages import code_version

Steps = Callable[[random.Random, int], str]
CODE = ("kimi_pipeline.bench.toy", "kimi_pipeline.training.supervised", "kimi_pipeline.training.engine")
DIGITS = 4
NUMBERS = 40  # the prompts: each number with each digit
RIGHT = 0.25  # share of worked answers that are right on purpose; the others are by chance
HELD_OUT = 200
CHAIN = f"{string.ascii_letters} "  # of the fixed task: always the same steps
# The word of a number, how many of the numbers have it, and how often a long-tailed answer repeats it, on average.
WORDS = ((" step", 20, 8), (" then", 12, 32), (" next", 6, 96), (" check", 2, 256))
LONGEST = 440  # repetitions; a longer worked answer is left out


def prompts() -> list[dict[str, Any]]:
    """The rows of the RL job's prompts file."""
    rows = [
        {"prompt": _prompt(number, digit), "answer": str(digit), "answer_kind": "integer", "weight": 1.0}
        for number in range(NUMBERS)
        for digit in range(DIGITS)
    ]
    return [row | {"problem_id": f"{place:032x}"} for place, row in enumerate(rows)]


def fixed(rng: random.Random, number: int) -> str:
    """The steps of an answer that takes the same number of tokens each time."""
    return CHAIN


def long_tailed(rng: random.Random, number: int) -> str:
    """Steps whose number has a heavy tail over problems: geometric for each, which a model this small can sample from."""
    word, mean = _word(number)
    count = LONGEST + 1
    while count > LONGEST:
        count = 1 + int(rng.expovariate(1 / mean))
    return word * count


def policy(home: Home, profile: Profile, steps: Steps, run_id: str) -> dict[str, str]:
    """Digest and folder of the SFT checkpoint on `steps`; what is there already is not trained again."""
    what = [steps.__name__, profile.model.model_dump(), profile.sft.model_dump(), profile.seed, code_version(CODE)]
    made = home.root / f"policy-{digest(what)[:16]}.json"
    if made.is_file():
        return json.loads(made.read_text())
    launcher = LocalLauncher(home.jobs)
    spec: dict[str, Any] = {"home": str(home.root), "profile": profile.settings(), "run_id": run_id}
    base = launcher.run("kimi_pipeline.training.base", spec)
    folder = find_checkpoint(home.checkpoints, base["digest"]).folder
    rng = random.Random(profile.seed)
    spec |= {
        "checkpoint": {"digest": base["digest"], "folder": str(folder)},
        "examples": _write(home.root / "examples.parquet", rng, profile.sft.clean_examples, "clean", steps),
        "held_out": _write(home.root / "held_out.parquet", rng, HELD_OUT, "held_out", steps),
    }
    found = launcher.run("kimi_pipeline.training.sft", spec)
    kept = {"digest": found["digest"], "folder": found["checkpoint"]["folder"]}
    made.write_text(json.dumps(kept))
    return kept


def write_prompts(path: Path) -> str:
    pq.write_table(pa.Table.from_pylist(prompts()), path)
    return str(path)


def _word(number: int) -> tuple[str, float]:
    words = [(word, mean) for word, numbers, mean in WORDS for _ in range(numbers)]
    return words[number]


def _prompt(number: int, digit: int) -> str:
    return f"Number {number},{_word(number)[0]}. Say {digit}."


def _write(path: Path, rng: random.Random, count: int, phase: str, steps: Steps) -> str:
    rows = []
    for _ in range(count):
        number, digit = rng.randrange(NUMBERS), rng.randrange(DIGITS)
        said = digit if rng.random() < RIGHT else rng.randrange(DIGITS)
        response = f"{steps(rng, number)}\\boxed{{{said}}}"
        message = TEMPLATES["tiny"].user_message(_prompt(number, digit), "reasoning")
        rows.append({"user_message": message, "response": response, "format": "reasoning", "phase": phase})
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)
