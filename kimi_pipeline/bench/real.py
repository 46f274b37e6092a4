"""A real model learns, or not: `kimi-pipeline real --model FOLDER` (`make real`), the whole lineage and a control.

Belongs here: the two arms, the verdict on them, the report and its plots. Does not belong here: running and keeping cells
(`cells.py`), a cell's work (`trial.py`).

Both arms start from one short SFT of the given model and one prompt set and differ by the reward alone: the verdict, or a
coin flip (`rewards/random_reward.py`). A gain counts where RL is above SFT and above the control, each by a difference
paired by problem whose interval excludes 0. That interval is over held-out problems: it speaks of these checkpoints, one
seed each, not of other seeds.

All of it lies in the user's own home under profile `real`, so `results`, `funnel`, `explain`, `rollouts` and the UI show
the run like any other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.cells import Cell, Study
from kimi_pipeline.bench.seeds import OverProblems, over_problems, paired, share_over_problems
from kimi_pipeline.bench.trial import OWN, Trial
from kimi_pipeline.checkpoints import check_model_folder
from kimi_pipeline.home import Home
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.plots import bars, curves
from kimi_pipeline.profiles.profile import as_overrides, load_profile
from kimi_pipeline.stages import run_stage

NAME = "real"
PROFILE = "real"
RULES, CONTROL = "rules", "control"
ARMS: dict[str, dict[str, Any]] = {RULES: {}, CONTROL: {"rl.reward": "random"}}
TEMPERATURES = {"t1": "1.0", "greedy": "0.0"}
BEFORE, AFTER, COIN = "SFT", "RL", "RL on coin flips"


@dataclass(frozen=True)
class Real:
    """The run in `home` on the model in `model`, with settings of the profile changed."""

    home: Home
    model: Path
    changes: Mapping[str, Any]
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        check_model_folder(self.model)

    def trial(self, arm: str) -> Trial:
        given = {"model.kind": "folder", "model.path": str(self.model.resolve())}
        return Trial(self.home, load_profile(PROFILE, given | dict(self.changes) | ARMS[arm]), self.say)

    def run(self) -> dict[str, Any]:
        """Run what is not done yet, and report. Raises UserError where a stage or an arm fails."""
        trials = {arm: self.trial(arm) for arm in ARMS}
        cells = {
            arm: Cell(arm, trial.profile.seed, trial.inputs, trial.run, trial.prepare) for arm, trial in trials.items()
        }
        study = Study(self.home.root / "bench" / NAME / "cells", self.say)
        study.run(list(cells.values()), stop_at_failure=True)
        for stage in OWN.values():  # the lineage's own; the arm has trained and answered already, so this is short
            run_stage(stage, trials[RULES].context, STAGES)
        kept = {arm: study.look(cell) for arm, cell in cells.items()}
        results = {arm: one.result for arm, one in kept.items() if one.result is not None}
        report = {
            "name": NAME,
            "figures": figures(results[RULES], results[CONTROL])
            | {"seconds": {arm: round(one.seconds) for arm, one in kept.items()}},
            "plots": plots(results[RULES], results[CONTROL], self.home.reports),
            "peer": None,
            "ratio": None,
            "machine": f"{os.cpu_count()} CPU cores",
            "command": f"kimi-pipeline {NAME} --model {self.model.name}{as_overrides(self.changes)}",
        }
        (self.home.reports / f"{NAME}.json").write_text(json.dumps(report, indent=1))
        return report


def figures(rules: Mapping[str, Any], control: Mapping[str, Any]) -> dict[str, Any]:
    """pass@1 and tokens of SFT, RL and control with intervals over problems, their differences, and the verdict."""
    found: dict[str, Any] = {
        "problems": len(rules["answers"]["sft"]["1.0"]["right"]),
        "iterations": len(rules["curves"]),
    }
    for name, temperature in TEMPERATURES.items():
        answers = _who(rules, control, temperature)
        found[name] = {who: _interval(share_over_problems(one["right"])) for who, one in answers.items()}
        found[f"tokens_{name}"] = {who: _interval(over_problems(one["tokens"]), 1) for who, one in answers.items()}
        found[f"difference_{name}"] = {
            f"{after} - {before}": _interval(paired(answers[after]["right"], answers[before]["right"]))
            for after, before in ((AFTER, BEFORE), (AFTER, COIN), (COIN, BEFORE))
        }
    found["verdict"] = verdict(found["difference_t1"])
    return found


def verdict(differences: Mapping[str, Mapping[str, float]]) -> str:
    """One sentence on the gain at temperature 1; says so where it is not outside the interval."""
    gain, beyond = differences[f"{AFTER} - {BEFORE}"], differences[f"{AFTER} - {COIN}"]
    told = ", ".join(
        f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}] against {who}"
        for one, who in ((gain, "SFT"), (beyond, "the control"))
    )
    if gain["low"] > 0 and beyond["low"] > 0:
        return f"RL gained: {told}"
    if gain["high"] < 0:
        return f"RL lost: {told}"
    return f"no gain is shown, 0 is not outside the intervals: {told}"


def plots(rules: Mapping[str, Any], control: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Pass rate and length by iteration of both arms, held-out pass@1 before, after and under the control."""
    found = {}
    runs = {AFTER: rules, COIN: control}
    for curve, y in (("pass_rate", "pass rate of the iteration's problems"), ("tokens_mean", "tokens a response")):
        series = {who: [point.get(curve, float("nan")) for point in run["curves"]] for who, run in runs.items()}
        found[curve] = curves(series, folder / f"{NAME}-{curve}.png", title="A real model", x="iteration", y=y)
    held = {who: share_over_problems(one["right"]) for who, one in _who(rules, control, TEMPERATURES["t1"]).items()}
    found["held_out"] = bars(
        {who: one.mean for who, one in held.items()},
        folder / f"{NAME}-held-out.png",
        title="A real model, held-out problems",
        y="pass@1 at temperature 1",
        intervals={who: (one.low, one.high) for who, one in held.items()},
    )
    return found


def rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table for a terminal."""
    found = report["figures"]
    return [
        {"checkpoint": who}
        | {
            key: value
            for name in TEMPERATURES
            for key, value in (
                (f"pass@1 {name}", found[name][who]["mean"]),
                (f"interval {name}", [found[name][who]["low"], found[name][who]["high"]]),
                (f"tokens {name}", found[f"tokens_{name}"][who]["mean"]),
            )
        }
        for who in (BEFORE, AFTER, COIN)
    ]


def _who(rules: Mapping[str, Any], control: Mapping[str, Any], temperature: str) -> dict[str, dict[str, Any]]:
    return {
        BEFORE: rules["answers"]["sft"][temperature],
        AFTER: rules["answers"]["rl"][temperature],
        COIN: control["answers"]["rl"][temperature],
    }


def _interval(found: OverProblems, digits: int = 4) -> dict[str, float]:
    return {name: round(getattr(found, name), digits) for name in ("mean", "low", "high")}
