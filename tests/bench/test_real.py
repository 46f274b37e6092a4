"""The real model's page: a gain counts above SFT and above the control, and where there is none the page says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from kimi_pipeline.bench import real
from kimi_pipeline.profiles.profile import load_profile
from tests.bench.made_up import PROBLEMS, result


@pytest.mark.parametrize(
    ("trained", "control", "word"),
    [
        (0.40, 0.20, "RL gained"),
        (0.40, 0.40, "no gain is shown"),  # the control rose as well: whatever it was, it was not the verdict
        (0.201, 0.20, "no gain is shown"),
        (0.10, 0.20, "RL lost"),
    ],
)
def test_the_verdict_follows_the_intervals(trained: float, control: float, word: str) -> None:
    found = real.figures(result(trained, sft=0.2), result(control, sft=0.2))
    assert found["verdict"].startswith(word)


def test_figures_by_hand() -> None:
    found = real.figures(result(0.5, sft=0.2), result(0.25, sft=0.2))
    assert {who: one["mean"] for who, one in found["t1"].items()} == {"SFT": 0.2, "RL": 0.5, "RL on coin flips": 0.25}
    differences = {who: one["mean"] for who, one in found["difference_t1"].items()}
    assert differences == {"RL - SFT": 0.3, "RL - RL on coin flips": 0.25, "RL on coin flips - SFT": 0.05}
    assert (found["problems"], found["iterations"]) == (PROBLEMS, 5)
    gain = found["difference_t1"]["RL - SFT"]
    assert "+0.300" in found["verdict"] and f"{gain['low']:+.3f}" in found["verdict"]


def test_a_table_and_pictures_come_of_it(tmp_path: Path) -> None:
    rules, control = result(0.5, sft=0.2), result(0.25, sft=0.2)
    table = real.rows({"figures": real.figures(rules, control)})
    assert [row["checkpoint"] for row in table] == ["SFT", "RL", "RL on coin flips"]
    for path in real.plots(rules, control, tmp_path).values():
        with Image.open(path) as picture:
            assert picture.format == "PNG"


def test_the_control_differs_by_the_reward_alone() -> None:
    rules, control = (load_profile(real.PROFILE, changes).settings() for changes in real.ARMS.values())
    assert (rules["rl"].pop("reward"), control["rl"].pop("reward")) == ("rules", "random")
    assert rules == control
