"""The report's ablations on the laptop's model: `kimi-pipeline ablations` (`make ablations`), resumable [3.3-3.5].

Belongs here: the arms, the questions asked of them, the report with its table and plots. Does not belong here: running and
keeping cells (`cells.py`), a cell's work (`trial.py`), statistics (`seeds.py`).

Every arm is the arm `base` with a few settings changed. All arms of a seed start from one SFT checkpoint and one prompt
set, take the same number of iterations and mini-steps, and are evaluated on the same held-out problems; so a
question is answered by differences within a seed, problem by problem, and its interval is over seeds. The control is a
policy trained the same way on coin flips.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kimi_pipeline.bench.cells import Cell, Kept, Once, Study
from kimi_pipeline.bench.seeds import Spread, band, outcome, paired, spread
from kimi_pipeline.bench.trial import CPU, Trial, shared_home
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.plots import Point, bands, bars, frontier
from kimi_pipeline.profiles.profile import Profile, load_profile

NAME = "ablations"
BASE = "base"
SMOOTHED = 5  # iterations; one alone is 32 problems, mostly noise
MEASURES = ("t1", "greedy", "tokens", "curve")


@dataclass(frozen=True)
class Arm:
    """A way to train. `changes` are settings on top of the study's; `about` says it in a few words."""

    about: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """`arm` against `against`: does `measure` go `expected`? Measures: t1 and greedy are held-out pass@1, tokens the mean
    length at temperature 1, curve the mean pass rate over all iterations (how soon, not only how far)."""

    text: str
    arm: str
    against: str
    measure: Literal["t1", "greedy", "tokens", "curve"]
    expected: Literal["up", "down"]
    also: tuple[str, ...] = ()  # measures that stand beside it


STUDY: dict[str, Any] = {"evaluation.samples": 2}  # what all arms share; everything else is the profile's
ARMS: dict[str, Arm] = {
    BASE: Arm("mirror descent, uniform sampling, Adam's moments kept"),
    "control": Arm("reward replaced by a coin flip", {"rl.reward": "random"}),
    "rest": Arm("only the best response of a group, no negative gradients", {"rl.objective": "rest"}),
    "length": Arm("length reward, weight 0.3", {"rl.length_weight": 0.3}),
    "curriculum": Arm("uniform, then hard problems alone", {"rl.sampling": "curriculum"}),
    "prioritized": Arm("by 1 - success rate", {"rl.sampling": "prioritized"}),
    "partial": Arm("at most 32 tokens an iteration, loss on the last segment", {"rl.segment_tokens": 32}),
    "partial-all": Arm(
        "at most 32 tokens an iteration, loss on all segments", {"rl.segment_tokens": 32, "rl.loss_on": "all"}
    ),
    "reset": Arm("optimizer reset at each iteration", {"rl.reset_optimizer": True}),
    "reset-slow": Arm(
        "optimizer reset, half the learning rate", {"rl.reset_optimizer": True, "rl.learning_rate": 2e-4}
    ),
    "slow": Arm("Adam's moments kept, half the learning rate", {"rl.learning_rate": 2e-4}),
    "short": Arm("at most 48 tokens a response", {"rl.max_tokens": 48, "evaluation.max_tokens": 48}),
    "large": Arm("twice the layers", {"model.layers": 4}),
    "large-short": Arm(
        "twice the layers, at most 48 tokens", {"model.layers": 4, "rl.max_tokens": 48, "evaluation.max_tokens": 48}
    ),
}
QUESTIONS: dict[str, tuple[Question, ...]] = {
    "learning": (
        Question("RL with the verdict beats RL on coin flips", BASE, "control", "t1", "up", ("greedy", "tokens")),
    ),
    "negative-gradients": (
        Question("Negative gradients beat ReST [3.5]", BASE, "rest", "t1", "up", ("greedy", "tokens")),
        Question("and learn in fewer samples [3.5]", BASE, "rest", "curve", "up"),
    ),
    "sampling": (
        Question("A curriculum beats uniform sampling [3.5]", "curriculum", BASE, "t1", "up", ("greedy",)),
        Question("Prioritized sampling beats uniform", "prioritized", BASE, "t1", "up", ("greedy",)),
    ),
    "length-reward": (
        Question("The length reward shortens responses [2.3.3]", "length", BASE, "tokens", "down", ("t1", "greedy")),
    ),
    "optimizer-reset": (
        Question("Resetting Adam helps, full rate [2.3.1]", "reset", BASE, "t1", "up", ("greedy",)),
        Question("Resetting Adam helps, half the rate [2.3.1]", "reset-slow", "slow", "t1", "up", ("greedy",)),
    ),
    "partial-rollouts": (
        Question(
            "Partial rollouts cost accuracy, loss on the last segment", "partial", BASE, "t1", "down", ("tokens",)
        ),
        Question(
            "Partial rollouts cost accuracy, loss on all segments", "partial-all", BASE, "t1", "down", ("tokens",)
        ),
    ),
    "size-and-context": (
        Question("A larger model wins at equal context [3.3]", "large", BASE, "t1", "up", ("greedy", "tokens")),
        Question("and at a short context", "large-short", "short", "t1", "up", ("greedy", "tokens")),
        Question("A longer context helps the small model [3.3]", BASE, "short", "t1", "up", ("greedy", "tokens")),
        Question("A longer context helps the large model", "large", "large-short", "t1", "up", ("greedy", "tokens")),
        Question("The small model with a long context catches up", BASE, "large-short", "t1", "up", ("tokens",)),
    ),
}
NOTES = {
    "sampling": "the training curve of an arm is over the problems it chose, so arms are compared on held-out ones alone",
    "optimizer-reset": "a freshly reset Adam takes near-sign steps, so both sides are shown at two learning rates",
    "partial-rollouts": "equal iterations, not equal groups: where responses are cut, a group takes more than one",
    "size-and-context": "equal iterations and responses, not equal time: a larger model costs more a token (see seconds)",
}


@dataclass(frozen=True)
class Ablations:
    """The study in `home`, on a profile with settings changed, over seeds; `chosen` names the questions asked (all)."""

    home: Home
    profile: str
    changes: Mapping[str, Any]
    seeds: Sequence[int]
    chosen: Sequence[str] = ()
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.chosen) - set(QUESTIONS)):
            raise UserError(f"no ablation {unknown[0]!r}: choose from {', '.join(QUESTIONS)}")

    @property
    def root(self) -> Path:
        return self.home.root / "bench" / NAME

    @property
    def questions(self) -> dict[str, tuple[Question, ...]]:
        return {name: asked for name, asked in QUESTIONS.items() if not self.chosen or name in self.chosen}

    @property
    def arms(self) -> list[str]:
        """Those that the questions name, `base` and its control first."""
        named = {name for asked in self.questions.values() for one in asked for name in (one.arm, one.against)}
        return [name for name in ARMS if name in named | {BASE}]

    def profile_of(self, arm: str, seed: int) -> Profile:
        return load_profile(self.profile, STUDY | dict(self.changes) | dict(ARMS[arm].changes) | {"seed": seed})

    def cells(self) -> list[Cell]:
        """Arm by arm: after the first two rows there is something to look at."""
        found = []
        shared: dict[Path, Once] = {}
        for arm in self.arms:
            for seed in self.seeds:
                profile = self.profile_of(arm, seed)
                trial = Trial(shared_home(self.root, profile), profile, self.say)
                prepare = shared.setdefault(trial.home.root, Once(trial.prepare))
                found.append(Cell(arm, seed, trial.inputs, trial.run, prepare))
        return found

    @property
    def study(self) -> Study:
        return Study(self.root / "cells", self.say)

    def run(self) -> dict[str, Any]:
        """Run what has no current result, and report. Raises UserError as `Study.run` does."""
        study, cells = self.study, self.cells()
        study.run(cells)
        return self.report({cell.name: study.look(cell) for cell in cells}, cells)

    def look(self) -> dict[str, Any]:
        """The report on what there is; nothing is run."""
        cells = self.cells()
        return self.report({cell.name: self.study.look(cell) for cell in cells}, cells)

    def report(self, kept: Mapping[str, Kept], cells: Sequence[Cell]) -> dict[str, Any]:
        """The report as one JSON object; also written to `reports/ablations.json`, with its plots beside it."""
        results: dict[str, dict[int, dict[str, Any]]] = {}
        for cell in cells:
            if (found := kept[cell.name].result) is not None:
                results.setdefault(cell.arm, {})[cell.seed] = found
        arms = {arm: arm_figures(runs) for arm, runs in results.items()}
        report = {
            "name": NAME,
            "figures": {
                "arms": {arm: {"about": ARMS[arm].about} | figures for arm, figures in arms.items()},
                "questions": [
                    answer | {"ablation": name}
                    for name, asked in self.questions.items()
                    for answer in answers(asked, results)
                ],
            },
            "notes": {name: note for name, note in NOTES.items() if name in self.questions},
            "cells": [_state(cell, kept[cell.name]) for cell in cells],
            "plots": plots(results, self.questions, self.home.reports),
            "peer": None,
            "ratio": None,
            "machine": f"{os.cpu_count()} CPU cores",
            "command": self._command(),
        }
        (self.home.reports / f"{NAME}.json").write_text(json.dumps(report, indent=1))
        return report

    def _command(self) -> str:
        changed = "".join(f" --set {name}={json.dumps(value)}" for name, value in self.changes.items())
        asked = "".join(f" --only {name}" for name in self.chosen)
        return f"kimi-pipeline {NAME} --profile {self.profile} --seeds {','.join(map(str, self.seeds))}{changed}{asked}"


# -- figures --------------------------------------------------------------------------------------------------------


def measured(result: Mapping[str, Any], measure: str, who: str = "rl") -> float:
    """One measure of one run."""
    if measure == "curve":
        return statistics.fmean(point["pass_rate"] for point in result["curves"] if "pass_rate" in point)
    return statistics.fmean(value for value in by_problem(result, measure, who) if value is not None)


def by_problem(result: Mapping[str, Any], measure: str, who: str = "rl") -> list[float | None]:
    """A held-out measure of one run, a value a problem."""
    temperature, column = {"t1": ("1.0", "right"), "greedy": ("0.0", "right"), "tokens": ("1.0", "tokens")}[measure]
    values: list[float | None] = result["answers"][who][temperature][column]
    return values


def arm_figures(runs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Means and intervals over the seeds of one arm, with the SFT checkpoints it started from and what it cost."""
    results = [runs[seed] for seed in sorted(runs)]
    figures: dict[str, Any] = {"seeds": sorted(runs), "problems": len(by_problem(results[0], "t1"))}
    for measure in ("t1", "greedy", "tokens"):
        figures[f"sft_{measure}"] = spread([measured(one, measure, "sft") for one in results]).as_dict()
    for measure in MEASURES:
        figures[measure] = spread([measured(one, measure) for one in results]).as_dict()
    for name in ("tokens", "steps", "decode_steps", "groups", "seconds"):
        totals = [sum(point.get(name, 0.0) for point in one["curves"]) for one in results]
        figures[f"total_{name}"] = spread(totals).as_dict(1)
    works = [sum(v for point in one["curves"] for k, v in point.items() if k.startswith(CPU)) for one in results]
    figures["total_cpu_seconds"] = spread(works).as_dict(1)
    figures["highest_log_ratio"] = round(max(point["log_ratio_max"] for one in results for point in one["curves"]), 2)
    return figures


def answers(asked: Sequence[Question], results: Mapping[str, Mapping[int, Any]]) -> list[dict[str, Any]]:
    """One entry a question, with the seeds that both arms have; without any, the answer is that there is none."""
    found = []
    for question in asked:
        ours, theirs = results.get(question.arm, {}), results.get(question.against, {})
        seeds = sorted(ours.keys() & theirs.keys())
        entry: dict[str, Any] = {
            "question": question.text,
            "arm": question.arm,
            "against": question.against,
            "seeds": seeds,
            "expected": f"{question.measure} {question.expected}",
            "answer": "no result yet",
        }
        if seeds:
            pairs = [(ours[seed], theirs[seed]) for seed in seeds]
            for measure in (question.measure, *question.also):
                entry[measure] = difference(pairs, measure).as_dict()
                if measure != "curve":
                    entry[f"{measure}_within_seeds"] = [within(one, other, measure) for one, other in pairs]
            entry["answer"] = outcome(difference(pairs, question.measure), question.expected)
        found.append(entry)
    return found


def difference(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], measure: str) -> Spread:
    """Of a measure, one arm minus the other, over seeds."""
    return spread([measured(ours, measure) - measured(theirs, measure) for ours, theirs in pairs])


def within(ours: Mapping[str, Any], theirs: Mapping[str, Any], measure: str) -> list[float]:
    """Of one seed, paired by problem: difference and its interval. It speaks of these two policies, not of the method."""
    found = paired(by_problem(ours, measure), by_problem(theirs, measure))
    return [round(value, 4) for value in (found.mean, found.low, found.high)]


def _state(cell: Cell, kept: Kept) -> dict[str, Any]:
    entry: dict[str, Any] = {"cell": cell.name, "state": kept.state, "seconds": round(kept.seconds)}
    if kept.changed:
        entry["changed"] = list(kept.changed)
    if kept.error:
        entry["error"] = kept.error
    return entry


def rows(report: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two tables for a terminal: arms, questions."""
    arms = [
        {
            "arm": arm,
            "seeds": len(one["seeds"]),
            "SFT T=1": one["sft_t1"]["mean"],
            "T=1": one["t1"]["mean"],
            "interval": one["t1"]["interval"],
            "greedy": one["greedy"]["mean"],
            "tokens": round(one["tokens"]["mean"], 1),
            "curve": one["curve"]["mean"],
            "CPU minutes": round(one["total_cpu_seconds"]["mean"] / 60, 1),
            "about": one["about"],
        }
        for arm, one in report["figures"]["arms"].items()
    ]
    asked = []
    for one in report["figures"]["questions"]:
        measure = one["expected"].split()[0]
        found = one.get(measure, {})
        asked.append(
            {
                "question": one["question"],
                "arms": f"{one['arm']} - {one['against']}",
                "measure": one["expected"],
                "difference": found.get("mean"),
                "interval over seeds": found.get("interval"),
                "seeds": len(one["seeds"]),
                "answer": one["answer"],
            }
        )
    return arms, asked


# -- plots ----------------------------------------------------------------------------------------------------------


def plots(
    results: Mapping[str, Mapping[int, Any]], questions: Mapping[str, Sequence[Question]], folder: Path
) -> dict[str, str]:
    """As the report draws them: pass rate and length by iteration for each ablation, held-out accuracy as bars, accuracy
    against length for sizes and contexts; the bands and whiskers are intervals over seeds."""
    found: dict[str, str] = {}
    for name, asked in questions.items():
        named = {one for question in asked for one in (question.arm, question.against)}
        arms = [arm for arm in ARMS if arm in named and arm in results]
        if not arms:
            continue
        for curve, y in (("pass_rate", "pass rate of the iteration's problems"), ("tokens_mean", "tokens a response")):
            series = {arm: band([_curve(one, curve) for one in results[arm].values()]) for arm in arms}
            path = folder / f"{NAME}-{name}-{curve}.png"
            title = f"Ablation: {name} (means of {SMOOTHED} iterations, bands: 95 % over seeds)"
            found[f"{name}-{curve}"] = bands(series, path, title=title, x="iteration", y=y)
        held = {arm: spread([measured(one, "t1") for one in results[arm].values()]) for arm in arms}
        path = folder / f"{NAME}-{name}-held-out.png"
        found[f"{name}-held-out"] = bars(
            {arm: one.mean for arm, one in held.items()},
            path,
            title=f"Ablation: {name}, held-out problems",
            y="pass@1 at temperature 1",
            intervals={
                arm: (one.low, one.high) for arm, one in held.items() if one.low is not None and one.high is not None
            },
        )
    if "size-and-context" in questions:
        lines = {
            size: [_point(results[arm]) for arm in arms if arm in results]
            for size, arms in (("small", ("short", BASE)), ("large", ("large-short", "large")))
        }
        if any(lines.values()):
            found["size-and-context"] = frontier(
                {size: points for size, points in lines.items() if points},
                folder / f"{NAME}-size-and-context.png",
                title="Model size against context length",
                x="mean tokens a response (held-out, temperature 1)",
                y="pass@1 at temperature 1",
            )
    return found


def _curve(result: Mapping[str, Any], name: str) -> list[float]:
    """By iteration, each point the mean of the last `SMOOTHED` that have a value; NaN before the first."""
    values = [point.get(name, math.nan) for point in result["curves"]]
    windows = [values[max(0, end - SMOOTHED) : end] for end in range(1, len(values) + 1)]
    known = [[value for value in window if not math.isnan(value)] for window in windows]
    return [statistics.fmean(window) if window else math.nan for window in known]


def _point(runs: Mapping[int, Any]) -> tuple[Point, Point]:
    """Tokens and accuracy of one arm."""
    found = [band([[measured(one, measure)] for one in runs.values()])[0] for measure in ("tokens", "t1")]
    return found[0], found[1]
