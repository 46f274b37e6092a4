"""Reward models on held-out problems: the Chain-of-Thought RM beside the Classic RM [2.3.5], several seeds.

Belongs here: one laptop lineage up to its samples, the reward models' stages once a seed, mean and spread. Does not belong
here: the stages themselves (`reward_models/`).

All seeds share the lineage's policy and samples, so a seed is another draw of the corpus, another order of training and
other votes. Both models of a seed begin with the same policy and see the same examples as often. A seed that is finished is
not run again; one that was killed goes on after its last finished stage.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_pipeline.bench.cells import Cell, Once, Study
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.profiles import Profile, load_profile
from kimi_pipeline.stages import Context, code_version, new_run_id, run_stage

NAME = "rewardmodels"
SIZE = {
    "reward_models.examples": 16_000,
    "reward_models.epochs": 2,  # of both models
    "reward_models.held_out_examples": 1_000,
    "reward_models.votes": 5,
    "reward_models.temperature": 0.5,
}
OURS = ("reward_model_corpus", "classic_reward_model", "cot_reward_model", "reward_model_evaluation")


def measure(home: Home, seeds: Sequence[int], changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Accuracies, their differences, calibration, by category: mean over seeds with each seed's value.

    `changes` are settings beside the bench's own. Raises UserError where the lineage or a seed fails.
    """
    own = Home(home.root / "bench" / NAME).prepare()
    settings = SIZE | dict(changes or {})
    prepare = Once(lambda: lineage(own))
    study = Study(own.root / "seeds", say=lambda text: print(f"bench {NAME}: {text}", file=sys.stderr, flush=True))
    cells = [_cell(own, load_profile("laptop", settings | {"seed": seed}), prepare) for seed in seeds]
    study.run(cells, stop_at_failure=True)
    found = [study.look(cell).result or {} for cell in cells]
    return {
        "name": NAME,
        "figures": {"seeds": list(seeds)} | summary(found),
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --seeds {','.join(map(str, seeds))}",
    }


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean, spread and each seed's value of every number; by category, means of both models."""
    figures: dict[str, Any] = {}
    for name, first in found[0].items():
        values = [one[name] for one in found]
        if isinstance(first, int | float):
            figures[name] = {
                "mean": round(statistics.mean(values), 4),
                "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
                "runs": values,
            }
    for category in found[0]["by_category"]:
        own = [one["by_category"].get(category, {}) for one in found]
        figures[f"category {category}"] = {
            model: round(statistics.mean(one[model] for one in own if one), 4) for model in ("classic", "cot")
        }
    return figures


def lineage(own: Home) -> None:
    """The laptop lineage up to its samples, in the bench's own home; what is there costs nothing."""
    command = [sys.executable, "-m", "kimi_pipeline.cli", "run", "--profile", "laptop", "--select", "difficulty"]
    done = subprocess.run(
        command, env=os.environ | {"KIMI_HOME": str(own.root)}, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise UserError("the lineage failed: mend what it says above and run this again")


def _cell(own: Home, profile: Profile, prepare: Once) -> Cell:
    inputs = {
        "settings": digest(profile.settings()),
        "code": digest([code_version(STAGES[name].code) for name in OURS]),
    }
    return Cell("laptop", profile.seed, inputs=lambda: inputs, work=lambda: run_seed(own, profile), prepare=prepare)


def run_seed(own: Home, profile: Profile) -> dict[str, Any]:
    """The stages of the reward models, in turn; the last one's figures."""
    context = Context(
        own,
        Lake(own.lake),
        profile,
        LocalLauncher(own.jobs),
        new_run_id(),
        profile.curation.prompt_set,
        say=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
    )
    outcomes = {name: run_stage(STAGES[name], context, STAGES) for name in OURS}
    corpus, last = outcomes[OURS[0]].figures, outcomes[OURS[-1]].figures
    counts = ("train", "held_out", "labelled_by_verifier", "labelled_by_construction")
    seconds = {f"{name}_seconds": round(outcomes[name].seconds, 1) for name in OURS}
    return {name: corpus[name] for name in counts} | dict(last) | seconds
