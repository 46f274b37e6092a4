"""Which runs are one and the same: what a run is told about ending, keeping and watching makes no other one of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.digests import digest
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.course import course_of, policy_name
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.recovery import Recovery

SPEC = {"checkpoint": {"digest": "c"}, "prompt_set": {"name": "laptop", "version": 1, "digest": "d"}}
PROMPTS = [Prompt("q", Reference("a", "1", "integer"))]


def named(**changes: Any) -> tuple[str, str]:
    """The digest that names a run's folder, and its policy."""
    profile = load_profile("laptop", {f"rl.{name}": value for name, value in changes.items()})
    return digest(course_of(SPEC, profile)), policy_name(SPEC, profile, PROMPTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"phase_seconds": 7200.0},
        {"kept_iterations": 9},
        {"changed_set": "restart"},
        {"max_logprob_gap": 0.5},
        {"watch": "stop", "watch_every": 1},
    ],
    ids=min,
)
def test_a_setting_that_changes_nothing_of_the_course_goes_on_with_the_run(changes: dict[str, Any]) -> None:
    assert named(**changes) == named()


@pytest.mark.parametrize("changes", [{"learning_rate": 1e-5}, {"iterations": 7}, {"reward_seconds": 1.0}])
def test_any_other_one_makes_another_run(changes: dict[str, Any]) -> None:
    assert named(**changes) != named()


def test_starting_anew_replaces_the_run_that_was_refused(tmp_path: Path) -> None:
    root = tmp_path / named()[0]
    Recovery(root).begin(PROMPTS, SPEC["prompt_set"])
    now = [Prompt("q", Reference("a", "2", "integer"))]
    Recovery(tmp_path / named(changed_set="restart")[0]).begin(now, SPEC["prompt_set"])
    assert Recovery(root).is_of(now) and not Recovery(root).is_of(PROMPTS)
