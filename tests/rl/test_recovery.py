"""Iteration checkpoints: whole or not there, and never gone on with on other prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl import recovery as recovery_module
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.recovery import Recovery
from kimi_pipeline.rl.replay_buffer import SCHEMA

EMPTY = SCHEMA.empty_table()
VERSION = {"name": "laptop", "version": 3, "digest": "d"}


def prompt(name: str, answer: str = "1", weight: float = 1.0) -> Prompt:
    return Prompt("q", Reference(name, answer, "integer"), weight)


PROMPTS = [prompt("a"), prompt("b"), prompt("c")]


def saved_run(root: Path, *iterations: int) -> Recovery:
    recovery = Recovery(root / "run")
    recovery.begin(PROMPTS, VERSION)
    for number in iterations:
        (recovery.scratch(number) / "trainer").mkdir(parents=True)
        rows = {"samples": pa.table({"sample_id": [f"s{number}"]})}
        recovery.publish(number, {"curves": [number]}, EMPTY, rows)
    return recovery


def test_what_was_saved_comes_back_in_order(tmp_path: Path) -> None:
    found = saved_run(tmp_path, 1, 2, 10).saved()
    assert [one.iteration for one in found] == [1, 2, 10]
    assert found[-1].state["curves"] == [10] and found[-1].rows("samples") == [{"sample_id": "s10"}]
    assert found[-1].buffer.num_rows == 0 and found[-1].trainer.is_dir()


def test_what_was_not_published_does_not_count(tmp_path: Path) -> None:
    recovery = saved_run(tmp_path, 1)
    (recovery.scratch(2) / "trainer").mkdir(parents=True)
    (recovery.scratch(2) / "state.json").write_text("{")
    assert [one.iteration for one in Recovery(recovery.root).saved()] == [1]
    recovery.clear_scratch()
    assert not list(recovery.root.glob(".iteration*"))


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    recovery = saved_run(tmp_path, 1, 2, 3, 4, 5)
    recovery.prune(2)
    assert [one.iteration for one in recovery.saved()] == [4, 5]


def killed_in_rmtree(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a kill comes when the first file of a folder is gone."""

    def killed(folder: Path, ignore_errors: bool = False) -> None:
        for path in sorted(folder.rglob("*.parquet")):
            path.unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(recovery_module.shutil, "rmtree", killed)


def test_a_kill_while_old_ones_are_removed_leaves_a_run_that_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = saved_run(tmp_path, 1, 2, 3)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        killed_in_rmtree(patched)
        recovery.prune(1)
    again = Recovery(recovery.root)
    again.clear_scratch()
    assert [one.iteration for one in again.saved()] == [2, 3] and not list(recovery.root.glob(".*"))
    assert all(one.rows("samples") and one.buffer.num_rows == 0 for one in again.saved())
    again.prune(1)
    assert [one.iteration for one in again.saved()] == [3]


def test_a_kill_while_a_run_is_begun_anew_leaves_nothing_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery = saved_run(tmp_path, 1)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        killed_in_rmtree(patched)
        recovery.begin([prompt("d")], VERSION)
    assert not recovery.is_of(PROMPTS) and recovery.saved() == []
    recovery.begin(PROMPTS, VERSION)
    assert recovery.is_of(PROMPTS) and not list(tmp_path.glob(".*"))


def test_another_kind_of_answer_is_another_set(tmp_path: Path) -> None:
    recovery = saved_run(tmp_path, 4)
    now = [replace(one, reference=replace(one.reference, answer_kind="free_form")) for one in PROMPTS[:1]]
    with pytest.raises(UserError, match=r"1 changed \(a\)"):
        recovery.check_same_set([*now, *PROMPTS[1:]], VERSION, iterations=9)
    assert not recovery.is_of([*now, *PROMPTS[1:]])


def test_another_set_is_refused_with_the_difference(tmp_path: Path) -> None:
    recovery = saved_run(tmp_path, 4)
    assert recovery.is_of(PROMPTS)
    recovery.check_same_set(PROMPTS, VERSION, iterations=9)
    now = [prompt("b", "2"), prompt("c", weight=2.0), prompt("d")]
    assert not recovery.is_of(now)
    with pytest.raises(UserError) as refused:
        recovery.check_same_set(now, VERSION | {"version": 4}, iterations=9)
    line = str(refused.value)
    assert (
        "stands at iteration 4 of 9 on laptop@3; laptop@4 differs: 1 added (d); 1 removed (a); 2 changed (b, c)" in line
    )
    assert "--set rl.changed_set=restart" in line
    rated = [replace(one, pass_rate=0.3) for one in PROMPTS]  # what prompt sampling starts from
    assert not recovery.is_of(rated)
    recovery.check_same_set(now, VERSION, iterations=4)  # that run is at its end: nothing to lose
    recovery.begin(now, VERSION)
    assert recovery.is_of(now) and recovery.saved() == []
