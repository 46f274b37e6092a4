"""The tagger on MATH's own types, and what it costs: accuracy held out, calibration, microseconds, share of a run.

Belongs here: those figures. Does not belong here: the model (`curation/tagging/`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kimi_pipeline.bench.real_rows import GSM8K, MATH, data_folder, read
from kimi_pipeline.curation.tagging.classifier import Classifier, accuracy, calibration_error, fit
from kimi_pipeline.curation.tagging.keywords import tag_by_words
from kimi_pipeline.curation.tagging.training import HELD_OUT
from kimi_pipeline.curation.taxonomy import taxonomy
from kimi_pipeline.intervals import wilson
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.problems import is_held_out, problem_id

ALGEBRAS = ("algebra", "intermediate_algebra", "prealgebra")
TIMED_ROWS = 20_000


def read_types(path: Path) -> tuple[list[str], list[str]]:
    """Prompts and disciplines of a file with the columns problem and type, as MATH has them."""
    rows = read(path, "problem", "type")
    tags = [taxonomy().of_label(row["type"]) for row in rows]
    return [row["problem"] for row in rows], [tag.discipline if tag else "other" for tag in tags]


def measure_types(path: Path) -> dict[str, Any]:
    """Fit on 80 % of the problems by the hash of their text, measure on the others."""
    prompts, types = read_types(path)
    held_out = np.array([is_held_out(problem_id(prompt), HELD_OUT) for prompt in prompts])
    learnt = np.flatnonzero(~held_out)
    spent = time.process_time()
    model = fit([prompts[k] for k in learnt], [types[k] for k in learnt])
    trained = time.process_time() - spent
    asked = [prompts[k] for k in np.flatnonzero(held_out)]
    wanted = np.array([model.classes.index(types[k]) for k in np.flatnonzero(held_out)])
    probabilities = model.probabilities(asked)
    right = int((probabilities.argmax(axis=1) == wanted).sum())
    merged, merged_wanted = _merged(model.classes, probabilities, wanted)
    low, high = wilson(right, len(wanted))
    return {
        "accuracy": round(accuracy(probabilities, wanted), 4),
        "accuracy_low": round(low, 4),
        "accuracy_high": round(high, 4),
        "majority_baseline": _majority(wanted),
        "accuracy_algebras_merged": round(accuracy(merged, merged_wanted), 4),
        "majority_baseline_merged": _majority(merged_wanted),
        "calibration_error": round(calibration_error(probabilities, wanted), 4),
        "held_out": len(wanted),
        "trained_on": len(learnt),
        "training_cpu_seconds": round(trained, 1),
        **_costs(model, prompts),
    }


def _merged(classes: Sequence[str], probabilities: Any, wanted: Any) -> tuple[Any, Any]:
    """The three algebras as one class: its probability is their sum."""
    number = {
        name: place for place, name in enumerate(dict.fromkeys("algebra" if c in ALGEBRAS else c for c in classes))
    }
    place = np.array([number["algebra" if c in ALGEBRAS else c] for c in classes])
    together = np.zeros((len(probabilities), len(number)))
    np.add.at(together.T, place, probabilities.T)
    return together, place[wanted]


def _majority(wanted: Any) -> float:
    return round(float(np.bincount(wanted).max() / len(wanted)), 4)


def _costs(model: Classifier, prompts: list[str]) -> dict[str, float]:
    """CPU microseconds a problem, of the classifier and of the rules."""
    many = (prompts * (TIMED_ROWS // len(prompts) + 1))[:TIMED_ROWS]
    column = pa.array(many)
    spent = time.process_time()
    model.probabilities(many)
    between = time.process_time()
    tag_by_words(column)
    return {
        "classifier_microseconds": round((between - spent) / len(many) * 1e6, 1),
        "rules_microseconds": round((time.process_time() - between) / len(many) * 1e6, 1),
    }


SOURCES = """
[[source]]
name = "gsm8k_train"
kind = "jsonl"
path = "gsm8k_train.jsonl"
[source.fields]
prompt = "question"
answer = "answer"
[[source]]
name = "math_train"
kind = "jsonl"
path = "math_train.jsonl"
[source.fields]
prompt = "problem"
answer = "answer"
labels = ["type", "difficulty"]
"""


def stage_seconds(data: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of each stage up to sampling on GSM8K and MATH, both labelled and not, in a fresh home in `folder`."""
    from kimi_pipeline.home import Home
    from kimi_pipeline.lake import Lake
    from kimi_pipeline.lineage import STAGES
    from kimi_pipeline.profiles import load_profile
    from kimi_pipeline.stages import Context, new_run_id, run_stage

    home = Home(folder / "home").prepare()
    declared = SOURCES.replace('path = "', f'path = "{data.resolve()}/')
    (folder / "sources.toml").write_text(declared)
    profile = load_profile("smol", {"corpora.sources": [str(folder / "sources.toml")]})
    context = Context(
        home, Lake(home.lake), profile, LocalLauncher(home.jobs), new_run_id(), "smol", say=lambda text: None
    )
    found = {}
    for name in UPTO:
        before = _cpu()
        run_stage(STAGES[name], context, STAGES)
        found[name] = _cpu() - before
    return found


UPTO = (
    "corpus",
    "evaluation_problems",
    "duplicates",
    "people_decisions",
    "tagger",
    "problem_tags",
    "evaluability",
    "contamination",
)


def _cpu() -> float:
    """CPU seconds of this process and of the workers that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure(data: Path | None) -> dict[str, Any]:
    """The bench: figures as `{"name", "figures", "peer", "ratio", "machine", "command"}`. Raises UserError without data."""
    data = data_folder(data, "bench tagger", (MATH, GSM8K))
    figures = measure_types(data / f"{MATH}.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        seconds = stage_seconds(data, Path(folder))
    whole = sum(seconds.values())
    figures["share_of_run"] = round((seconds["tagger"] + seconds["problem_tags"]) / whole, 3)
    figures["share_of_run_training"] = round(seconds["tagger"] / whole, 3)
    figures["run_cpu_seconds"] = round(whole, 1)
    return {
        "name": "tagger",
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench tagger --data {data}",
    }
