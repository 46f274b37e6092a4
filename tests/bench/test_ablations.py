"""The ablations: arms that differ by what they say, figures on made-up numbers, a report that tells stale from current."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from kimi_pipeline.bench.ablations import (
    ARMS,
    BASE,
    QUESTIONS,
    Ablations,
    Question,
    answers,
    arm_figures,
    measured,
    rows,
)
from kimi_pipeline.bench.trial import OF_A_TRIAL, shared_home
from kimi_pipeline.cli import main
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from tests.bench.made_up import PROBLEMS, result

SEEDS = (0, 1, 2)
T_2 = 4.302652729911275  # Student's t at 0.975 with two degrees of freedom


def study(home: Home, *chosen: str, seeds: tuple[int, ...] = SEEDS) -> Ablations:
    return Ablations(home, "laptop", {}, seeds, chosen, say=lambda line: None)


def keep(ablations: Ablations, made: Mapping[str, Mapping[int, Any]], **changed: str) -> None:
    """Write results as `Study` does, made with the inputs that there are now but for `changed`."""
    folder = ablations.root / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    for cell in ablations.cells():
        if cell.seed in made.get(cell.arm, {}):
            stored = {"inputs": {**cell.inputs(), **changed}, "result": made[cell.arm][cell.seed], "seconds": 60.0}
            (folder / f"{cell.name}.json").write_text(json.dumps(stored))


# -- arms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_the_base_but_for_what_it_says(home: Home, arm: str) -> None:
    ablations = study(home)
    base, own = ablations.profile_of(BASE, 0).settings(), ablations.profile_of(arm, 0).settings()
    changed = {
        f"{section}.{name}"
        for section, values in own.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value != base[section][name]
    }
    assert changed == set(ARMS[arm].changes)
    for name in ("iterations", "prompts", "samples", "mini_steps"):  # the same compute on both sides
        assert own["rl"][name] == base["rl"][name]


def test_every_arm_is_asked_about_and_every_question_has_two_arms() -> None:
    named = {name for asked in QUESTIONS.values() for one in asked for name in (one.arm, one.against)}
    assert named == set(ARMS)
    assert all(one.arm != one.against for asked in QUESTIONS.values() for one in asked)


def test_arms_of_a_seed_share_a_home_unless_they_differ_before_rl(home: Home) -> None:
    ablations = study(home)
    homes = {(arm, seed): shared_home(home.root, ablations.profile_of(arm, seed)) for arm in ARMS for seed in (0, 1)}
    for arm in ARMS:
        differs = any(name.split(".")[0] not in OF_A_TRIAL for name in ARMS[arm].changes)
        assert (homes[arm, 0] != homes[BASE, 0]) == differs
        assert homes[arm, 0] != homes[arm, 1]
    assert homes["large", 0] == homes["large-short", 0]


def test_the_held_out_set_is_large_enough(home: Home) -> None:
    profile = study(home).profile_of(BASE, 0)
    assert profile.corpora.evaluation_problems >= 1000
    assert profile.corpora.evaluation_problems * profile.evaluation.samples >= 2000


# -- figures --------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_paired_difference_with_its_interval_over_seeds() -> None:
    gains = {0: 0.10, 1: 0.12, 2: 0.14}
    made = {
        BASE: {seed: result(0.4 + 0.1 * seed + gain, seed=seed) for seed, gain in gains.items()},
        "rest": {seed: result(0.4 + 0.1 * seed, seed=seed) for seed in gains},
    }
    (found,) = answers([Question("?", BASE, "rest", "t1", "up", ("greedy", "tokens"))], made)
    half = T_2 * 0.02 / math.sqrt(3)
    assert found["t1"]["mean"] == pytest.approx(0.12, abs=1e-4)
    assert found["t1"]["interval"] == pytest.approx([0.12 - half, 0.12 + half], abs=2e-4)
    assert found["answer"] == "holds"  # although the arms' own spread (0.1) is as large as the difference
    assert found["greedy"]["mean"] == found["tokens"]["mean"] == 0.0
    for (mean, low, high), gain in zip(found["t1_within_seeds"], gains.values(), strict=True):
        assert mean == pytest.approx(gain, abs=1e-4)
        assert low < mean < high
        # Of n problems a share g changed by 1: the standard deviation of the difference is sqrt(g (1 - g)).
        # (1.966 is Student's t at 399 degrees of freedom; the report rounds to four digits.)
        assert high - mean == pytest.approx(1.966 * math.sqrt(gain * (1 - gain) / (PROBLEMS - 1)), abs=1e-4)


def test_an_answer_may_be_that_nothing_is_shown_or_the_opposite() -> None:
    asked = [Question("?", "rest", BASE, "t1", "up")]
    base = {seed: result(0.4) for seed in SEEDS}

    def answer(*shares: float) -> str:
        made = {"rest": {seed: result(share) for seed, share in enumerate(shares)}, BASE: base}
        return str(answers(asked, made)[0]["answer"])

    assert answer(0.6, 0.3, 0.45) == "not shown"
    assert answer(0.3, 0.31, 0.32) == "the opposite"
    assert answer(0.9) == "not shown"  # one seed
    assert answers(asked, {BASE: base})[0]["answer"] == "no result yet"


def test_only_seeds_that_both_arms_have_are_compared() -> None:
    made = {BASE: {0: result(0.5), 1: result(0.6)}, "rest": {1: result(0.5), 2: result(0.1)}}
    (found,) = answers([Question("?", BASE, "rest", "t1", "up")], made)
    assert found["seeds"] == [1]
    assert found["t1"]["mean"] == pytest.approx(0.1)


def test_figures_of_an_arm_by_hand() -> None:
    found = arm_figures({0: result(0.5, greedy=0.6, sft=0.2), 1: result(0.7, greedy=0.6, sft=0.2)})
    assert (found["t1"]["mean"], found["greedy"]["mean"], found["sft_t1"]["mean"]) == (0.6, 0.6, 0.2)
    assert found["t1"]["runs"] == [0.5, 0.7]
    assert found["problems"] == PROBLEMS
    assert (found["total_seconds"]["mean"], found["total_steps"]["mean"]) == (10.0, 20.0)
    assert found["total_cpu_seconds"]["mean"] == 5 * (1.0 + 0.5)  # of all phases
    assert found["highest_log_ratio"] == 1.5
    # The mean over iterations 2 to 5, as the first one completed no group.
    assert measured(result(0.7), "curve") == pytest.approx(0.2 + 0.5 * (2 + 3 + 4 + 5) / 4 / 5)


# -- the report -----------------------------------------------------------------------------------------------------


def test_the_report_is_written_with_plots_as_pictures(home: Home) -> None:
    ablations = study(home, "size-and-context")
    made = {arm: {seed: result(0.5 + 0.01 * seed, seed=seed) for seed in SEEDS} for arm in ablations.arms}
    keep(ablations, made)
    report = ablations.look()
    assert json.loads((home.reports / "ablations.json").read_text()) == json.loads(json.dumps(report))
    assert {cell["state"] for cell in report["cells"]} == {"current"}
    assert report["plots"].keys() == {
        *(f"{name}-{what}" for name in ablations.questions for what in ("pass_rate", "tokens_mean", "held-out")),
        "size-and-context",
    }
    for path in report["plots"].values():
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            colours = picture.convert("RGB").getcolors(picture.width * picture.height)
            assert colours is not None and len(colours) > 20  # there are lines on it
    arms, asked = rows(report)
    assert {row["arm"] for row in arms} == set(ablations.arms)
    assert len(asked) == sum(map(len, ablations.questions.values()))


def test_stale_cells_are_named_with_what_changed(home: Home) -> None:
    ablations = study(home, "negative-gradients", seeds=(0,))
    keep(ablations, {BASE: {0: result(0.5)}}, **{"code of rl_checkpoint": "older"})
    report = ablations.look()
    states = {cell["cell"]: cell for cell in report["cells"]}
    assert states["base-seed-0"]["state"] == "stale"
    assert states["base-seed-0"]["changed"] == ["code of rl_checkpoint"]
    assert states["rest-seed-0"]["state"] == "missing"


def test_a_part_of_the_study_runs_what_it_needs_alone(home: Home) -> None:
    assert study(home, "negative-gradients").arms == [BASE, "rest"]
    assert study(home, "optimizer-reset").arms == [BASE, "reset", "reset-slow", "slow"]
    assert set(study(home).arms) == set(ARMS)
    with pytest.raises(UserError, match="no ablation 'nope'"):
        study(home, "nope")


def test_looking_at_nothing_is_no_error_and_runs_nothing(tmp_path: Path) -> None:
    arguments = ["ablations", "--look", "--only", "learning", "--json"]
    done = CliRunner().invoke(main, arguments, env={"KIMI_HOME": str(tmp_path), "KIMI_SET": "", "KIMI_PROFILE": ""})
    assert done.exit_code == 0
    found = json.loads(done.output)
    assert {cell["state"] for cell in found["cells"]} == {"missing"}
    assert {answer["answer"] for answer in found["figures"]["questions"]} == {"no result yet"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ablations", "--look", "--only", "nope"], "no ablation 'nope'"),
        (["ablations", "--look", "--seeds", "a"], "'a'"),
        (["ablations", "--look", "--set", "rl.nope=1"], "rl.nope"),
        (["real", "--model", "/nowhere"], "model folder /nowhere does not exist"),
    ],
)
def test_bad_usage_is_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments, env={"KIMI_HOME": str(tmp_path), "KIMI_SET": "", "KIMI_PROFILE": ""})
    assert done.exit_code == 2
    assert words in done.output
