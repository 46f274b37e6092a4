"""Diff: versions that differ by one planted change each, and the cause that must be found for every problem."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline.audit.diff import _decisions, diff
from kimi_pipeline.cli import main
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP, PERSON, REFUSE, Decision, record
from kimi_pipeline.reasons import Reason
from tests.curation.conftest import Curation, able


def causes(found: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    return {(row["change"], row["stage"], row["cause"]): row["problems"] for row in found["summary"]}


def better(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
    """A later checkpoint: solves what it is asked to reason about (a wrong reference deceives it no more than the first
    one), guesses as the first one does."""
    if purpose == "difficulty" and row["planted"] != "wrong_reference":
        return f"\\boxed{{{row['answer']}}}" if rng.random() < 0.9 else "\\boxed{wrong}"
    return able(row, purpose, rng)


def test_a_threshold_is_found_as_the_cause(curation: Callable[..., Curation]) -> None:
    first = curation()
    size = first.ready()["rl_prompt_set"].figures["size"]
    second = curation(curation__max_pass_rate=0.5).run()["rl_prompt_set"]
    found = diff(first.context.lake, "smoke@1", "smoke@2")
    assert causes(found) == {("removed", "difficulty", "threshold"): size - second.figures["size"]}
    assert all(change["after"] == "refuse: trivial" for change in found["changes"])


def test_another_checkpoint_is_found_as_the_cause_of_every_change(curation: Callable[..., Curation]) -> None:
    first = curation()
    first.ready()
    curation(better, "newer").run()
    found = diff(first.context.lake, "smoke@1", "smoke@2")
    assert {(row["stage"], row["cause"]) for row in found["summary"]} == {("difficulty", "checkpoint")}
    assert {row["change"] for row in found["summary"]} >= {"moved", "removed"}
    assert all(change["detail"] == "scripted -> newer" for change in found["changes"])


def test_a_source_that_came_and_the_problems_it_displaced(curation: Callable[..., Curation], tmp_path: Path) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"question": f"How many are {n} and {n * n} together?", "answer": n + n * n}) + "\n"
            for n in range(60)
        )
    )
    first = curation(curation__max_size=40)
    first.run()
    curation(curation__max_size=40, corpora__sources=["builtin", str(rows)]).run()
    found = diff(first.context.lake, "smoke@1", "smoke@2")
    counted = causes(found)
    came = counted.pop(("added", "ingest", "source"))
    assert 0 < came < 40
    assert counted == {("removed", "selection", "quota_displaced"): came}
    assert {one["moved_by"] for one in found["changes"] if one["change"] == "removed"} == {f"ingest: source ({came})"}


def test_a_person_is_found_before_the_stages_after(curation: Callable[..., Curation]) -> None:
    first = curation()
    first.ready()
    lake, run_id = first.context.lake, first.context.run_id
    curation(curation__max_pass_rate=0.5).run()
    gone = diff(lake, "smoke@1", "smoke@2")["changes"][0]["problem_id"]
    banned = Decision("evaluability", gone, REFUSE, Reason.PROOF)
    record(lake, [banned], parameters={}, actor=f"{PERSON}ada", run_id=run_id)
    curation(curation__max_pass_rate=0.4).run("rl_prompt_set")
    changes = {one["problem_id"]: one for one in diff(lake, "smoke@1", "smoke@3")["changes"]}
    assert (changes[gone]["stage"], changes[gone]["cause"]) == ("evaluability", "person")


def test_an_evaluation_set_that_came_is_found_as_the_cause(curation: Callable[..., Curation], tmp_path: Path) -> None:
    first = curation()
    first.ready()
    lake = first.context.lake
    (row,) = lake.rows("select problem_id, prompt, answer from prompt_set order by problem_id limit 1")
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps({"question": row["prompt"], "answer": row["answer"]}) + "\n")
    curation(corpora__evaluation_sets=[str(held)]).run()
    changes = {one["problem_id"]: one for one in diff(lake, "smoke@1", "smoke@2")["changes"]}
    assert {(one["change"], one["stage"], one["cause"]) for one in changes.values()} == {
        ("removed", "contamination", "evaluation_set")
    }
    assert changes[row["problem_id"]]["after"] == "refuse: evaluation_copy"


def test_equal_and_wrong_versions(curation: Callable[..., Curation]) -> None:
    run = curation()
    run.ready()
    lake, home = run.context.lake, {"KIMI_HOME": str(run.context.home.root)}
    assert diff(lake, "smoke@1", "smoke@1")["changes"] == []
    for a, b, said in (("smoke@1", "smoke@9", "smoke@1"), ("smoke", "smoke@1", "SET@VERSION")):
        with pytest.raises(UserError, match=said):
            diff(lake, a, b)
        told = CliRunner().invoke(main, ["diff", a, b], env=home)
        assert told.exit_code == 2
    told = CliRunner().invoke(main, ["diff", "smoke@1", "smoke@1"], env=home)
    assert "hold the same problems" in told.output


def test_of_several_refused_rows_the_same_one_speaks_at_both_cuts(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")

    def refuse(subject: str, reason: Reason, times: int) -> dict[str, Any]:
        said = Decision("duplicates", "p", REFUSE, reason, subject=subject, evidence={"times": times})
        record(lake, [said], parameters={}, actor="rule@1", run_id="r")
        (newest,) = lake.rows("select max(created_at) as cut from ledger")
        return newest | {"set": "s"}

    refuse("mine:2", Reason.NEAR_DUPLICATE, 1)
    first = refuse("mine:1", Reason.EXACT_DUPLICATE, 1)
    second = refuse("mine:1", Reason.EXACT_DUPLICATE, 2)
    for cuts in ((first, second), (second, first)):
        with lake.reading() as state:
            stages, (then, now) = _decisions(state, cuts, ["p", "other"])
        assert stages == ["duplicates"]
        assert then == now and then["p"]["duplicates"].reason_code == Reason.NEAR_DUPLICATE
    kept = Decision("duplicates", "p", KEEP, Reason.UNIQUE, subject="mine:0")
    record(lake, [kept], parameters={}, actor="rule@1", run_id="r")
    (third,) = lake.rows("select max(created_at) as cut from ledger")
    with lake.reading() as state:
        _, (then, now) = _decisions(state, (second, third | {"set": "s"}), ["p"])
    assert (then["p"]["duplicates"].verdict, now["p"]["duplicates"].verdict) == (REFUSE, KEEP)


def test_no_arrow_is_imported_to_compare() -> None:
    asks = "import sys, kimi_pipeline.audit.diff; sys.exit('pyarrow' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asks], cwd=CHECKOUT, check=False).returncode == 0
