"""RL on answers in words, where rules abstain: rewarded by the Chain-of-Thought RM, beside the same run under an oracle.

Belongs here: the policy that answers in words, the two runs, their true pass rates. Does not belong here: RL, the reward
model (`reward_models.py` trains it), the oracle (`oracle.py`).

Both runs are the RL job with the composite reward, from one policy on the same prompts with the same seeds; they differ in
who is asked where the rules abstain. What a run has learned is read by the oracle, never by the reward that it was trained
on: a policy that learned to please the reward model alone would show as a gap.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.bench import reward_models
from kimi_pipeline.bench.cells import Cell, Study
from kimi_pipeline.bench.oracle import meaning
from kimi_pipeline.corpora.families.base import Family, Item
from kimi_pipeline.corpora.families.drawing import items, seeded
from kimi_pipeline.corpora.families.queue import QUEUE
from kimi_pipeline.corpora.families.register import REGISTER
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.plots import Point, bands
from kimi_pipeline.problems import problem_id
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.reward_models.forms import nature, other_forms
from kimi_pipeline.rewards.rules import FREE_FORM
from kimi_pipeline.rl.stage import CODE, JOB
from kimi_pipeline.stages import Context, code_version, new_run_id, require_outcome

NAME = "freeform"
COT, ORACLE = "cot_rm", "oracle"
FAMILIES: tuple[Family, ...] = (REGISTER, QUEUE)
ABSTAINED = ("then", "backwards", "words")  # of the forms, those that no rule reads
LEVELS = (1, 2, 3)
SLIP = 0.15  # a step, in the worked answers
SETTINGS = {
    "rl.reward": "composite",
    "rl.iterations": 30,
    "rl.prompts": 24,
    "reward_models.votes": 1,
    "sft.optimizer": "adamw",
    "sft.learning_rate": 1e-3,
    "sft.max_held_out_loss": 2.0,
}
NAMES = {COT: "Chain-of-Thought RM", ORACLE: "oracle"}
WORKED, PROMPTS, HELD_OUT = 10_000, 400, 100
LAST = 5  # iterations that an end's figures average over


def measure(home: Home, seeds: Sequence[int], changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """True pass rates at the beginning and the end of both runs, a seed each, and how often the reward model was right."""
    own = Home(home.root / "bench" / NAME).prepare()
    lineage = Home(home.root / "bench" / reward_models.NAME).prepare()
    settings = SETTINGS | dict(changes or {})
    reward_models.measure(home, [0])
    study = Study(own.root / "seeds", say=lambda text: print(f"bench {NAME}: {text}", file=sys.stderr, flush=True))
    cells = []
    for seed in seeds:
        profile = load_profile("laptop", settings | {"seed": seed})
        cells += [_cell(own, lineage, profile, arm) for arm in (COT, ORACLE)]
    study.run(cells, stop_at_failure=True)
    found = {cell.name: study.look(cell).result or {} for cell in cells}
    figures: dict[str, Any] = {"seeds": list(seeds)}
    curves = {}
    for arm in (COT, ORACLE):
        runs = [found[f"{arm}-seed-{seed}"] for seed in seeds]
        for name in ("true_first", "true_last", "asked_share", "agreement"):
            values = [run[name] for run in runs]
            figures[f"{arm}_{name}"] = {"mean": round(statistics.mean(values), 4), "runs": values}
        curves[NAMES[arm]] = [_over_seeds(values) for values in zip(*(run["true"] for run in runs), strict=True)]
        figures[f"{arm}_curve"] = [round(mean, 4) for mean, _, _ in curves[NAMES[arm]]]
    plot = bands(
        curves,
        own.reports / "freeform.png",
        title="RL on answers in words, by who rewards: mean over seeds, lowest to highest",
        x="iteration",
        y="pass rate, by the oracle",
    )
    return {
        "name": NAME,
        "figures": figures | {"plot": plot},
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --seeds {','.join(map(str, seeds))}",
    }


def _over_seeds(values: Sequence[float]) -> Point:
    return statistics.mean(values), min(values), max(values)


def in_words(item: Item, family: Family, rng: Random, noise: float) -> str:
    """A worked answer whose ending no rule reads."""
    body, _, last = family.solution(item, rng, noise).rpartition("\n")
    value = last.removeprefix("\\boxed{").removesuffix("}")
    forms = other_forms(value)
    written = [forms[name](value) for name in ABSTAINED if name in forms]
    said = rng.choice(written) if written else " then ".join(value)  # a slip may end in a zero ahead, which has no form
    ending = rng.choice(("\\boxed{{{}}}", "The answer is {}")).format(said)
    return f"{body}\n{ending}"


def _drawn(seed: int, n: int, held_out: bool = False) -> list[tuple[Family, Item]]:
    each = -(-n // len(FAMILIES))
    found: list[tuple[Family, Item]] = []
    for family in FAMILIES:
        drawn = items(seed, family, 3 * each, held_out, 0.2)
        fitting = [item for item in drawn if item.level in LEVELS and nature(item.answer) != "other"]
        found += [(family, item) for item in fitting[:each]]
    return found


def policy(own: Home, lineage: Home, profile: Profile) -> dict[str, str]:
    """The lineage's SFT policy, taught to answer in words; what is there is not trained again."""
    base = require_outcome(STAGES["sft_checkpoint"], _context(lineage, profile)).outputs
    code = code_version(("kimi_pipeline.bench.free_form", "kimi_pipeline.training.supervised"))
    what = [base["digest"], profile.sft.model_dump(), profile.seed, code]
    made = own.root / f"policy-{digest(what)[:16]}.json"
    if not made.is_file():
        rng = seeded("in words", profile.seed)
        spec = {
            "home": str(own.root),
            "profile": profile.settings(),
            "run_id": new_run_id(),
            "checkpoint": {"digest": base["digest"], "folder": base["folder"]},
            "examples": _write(own.root / "examples.parquet", _drawn(100 + profile.seed, WORKED), "clean", rng),
            "held_out": _write(own.root / "held_out.parquet", _drawn(100, HELD_OUT, held_out=True), "held_out", rng),
        }
        found = LocalLauncher(own.jobs).run("kimi_pipeline.training.sft", spec)
        made.write_text(json.dumps({"digest": found["digest"], "folder": found["checkpoint"]["folder"]}))
    return dict(json.loads(made.read_text()))


def _write(path: Path, drawn: Sequence[tuple[Family, Item]], phase: str, rng: Random) -> str:
    rows = [
        {
            "user_message": TEMPLATES["tiny"].user_message(item.prompt, "reasoning"),
            "response": in_words(item, family, rng, SLIP),
            "format": "reasoning",
            "phase": phase,
        }
        for family, item in drawn
    ]
    rng.shuffle(rows)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def _prompts(path: Path, seed: int) -> str:
    rows = [
        {"problem_id": problem_id(item.prompt), "prompt": item.prompt, "answer": item.answer, "answer_kind": FREE_FORM}
        for _, item in _drawn(200 + seed, PROMPTS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def _context(lineage: Home, profile: Profile) -> Context:
    launcher = LocalLauncher(lineage.jobs)
    return Context(lineage, Lake(lineage.lake), profile, launcher, new_run_id(), profile.curation.prompt_set)


def _cell(own: Home, lineage: Home, profile: Profile, arm: str) -> Cell:
    code = code_version((*CODE, "kimi_pipeline.bench.free_form", "kimi_pipeline.bench.oracle"))

    def judge() -> dict[str, str]:
        made = require_outcome(STAGES["cot_reward_model"], _context(lineage, profile)).outputs
        if arm == ORACLE:
            return {"folder": made["folder"], "digest": "0" * 32, "module": "kimi_pipeline.bench.oracle"}
        return {"folder": made["folder"], "digest": made["digest"]}

    return Cell(
        arm,
        profile.seed,
        inputs=lambda: {"settings": digest(profile.settings()), "code": code, "judge": judge()["digest"]},
        work=lambda: _run(own, profile, policy(own, lineage, profile), judge()),
    )


def _run(own: Home, profile: Profile, begin: Mapping[str, str], judge: Mapping[str, str]) -> dict[str, Any]:
    result = LocalLauncher(own.jobs).run(
        JOB,
        {
            "home": str(own.root),
            "profile": profile.settings(),
            "run_id": new_run_id(),
            "code": code_version(CODE),
            "checkpoint": dict(begin),
            "judge": dict(judge),
            "prompts": _prompts(own.root / "prompts.parquet", profile.seed),
            "prompt_set": {"name": NAME, "version": 1, "digest": "0" * 32},
        },
    )
    answers = {problem_id(item.prompt): item.answer for _, item in _drawn(200 + profile.seed, PROMPTS)}
    return judged(Lake(own.lake), result["policy"], answers) | {
        "reward": [round(point.get("reward", 0.0), 4) for point in result["curves"]],
        "seconds": round(result["seconds"], 1),
    }


def judged(lake: Lake, policy: str, answers: Mapping[str, str]) -> dict[str, Any]:
    """What the oracle says of a run's rollouts (`true`: its pass rate an iteration), on which share of them the reward model was
    asked, and how often the two agreed. `answers`: by problem."""
    rows = lake.rows(
        "select r.sample_id, r.iteration, r.reward, s.text, s.problem_id, count(p.part) as asked from rollouts r "
        "join samples s using (sample_id) left join reward_parts p on p.sample_id = r.sample_id and p.part = 'cot_rm' "
        "where r.policy = ? group by all order by r.iteration",
        [policy],
    )
    by_iteration: dict[int, list[bool]] = {}
    agreeing = []
    for row in rows:
        truth = meaning(row["text"]) == answers[row["problem_id"]]
        by_iteration.setdefault(row["iteration"], []).append(truth)
        if row["asked"] and row["reward"] is not None:
            agreeing.append((row["reward"] > 0) == truth)
    true = [round(statistics.mean(values), 4) for _, values in sorted(by_iteration.items())]
    return {
        "true": true,
        "true_first": round(statistics.mean(true[:LAST]), 4),
        "true_last": round(statistics.mean(true[-LAST:]), 4),
        "asked_share": round(len(agreeing) / max(1, len(rows)), 4),
        "agreement": round(statistics.mean(agreeing), 4) if agreeing else 1.0,
    }
