"""Cost, blame and impact: sums that can be worked by hand, and the way from a checkpoint to its sources and back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.audit.cost import cost
from kimi_pipeline.audit.impact import impact
from kimi_pipeline.audit.provenance import blame, find_checkpoint_by, walk
from kimi_pipeline.checkpoints import register_folder, save_checkpoint
from kimi_pipeline.cli import main
from kimi_pipeline.errors import UserError
from kimi_pipeline.lineage import STAGES
from tests.curation.conftest import Curation


def test_costs_add_up_to_what_was_drawn(curation: Callable[..., Curation]) -> None:
    run = curation(inference__price_per_million_tokens=2.0)
    size = run.run()["rl_prompt_set"].figures["size"]
    found = cost(run.context.lake, "smoke@1")
    drawn = run.context.lake.rows("select count(*) n, sum(completion_tokens) tokens from samples")[0]
    assert found["total"]["samples"] == drawn["n"] == run.asked
    assert found["total"]["completion_tokens"] == drawn["tokens"]
    assert found["total"]["money"] == pytest.approx(drawn["tokens"] * 2e-6, rel=1e-3)
    assert found["a_kept_prompt"]["samples"] == pytest.approx(drawn["n"] / size, abs=1e-5)
    assert [stage["stage"] for stage in found["stages"]] == ["difficulty", "guessability"]
    assert found["stages"][0]["samples"] % run.context.profile.curation.samples == 0
    told = CliRunner().invoke(main, ["cost", "smoke"], env={"KIMI_HOME": str(run.context.home.root)})
    assert told.exit_code == 0 and "a kept prompt" in told.output


def test_a_set_leads_back_to_its_sources(curation: Callable[..., Curation]) -> None:
    run = curation()
    outcomes = run.ready()
    found = walk(run.context.lake, outcomes["rl_prompt_set"].data_version)
    assert found[0]["stage"] == "rl_prompt_set"
    coding = {name for name in outcomes if STAGES[name].group == "testcases"}  # left out of this run
    met = {row["stage"] for row in found} - coding
    assert met | {"evaluation_problems"} == (set(outcomes) - coding - {"decision_ledger"}) | {"evaluation_problems"}
    assert len({row["stage"] for row in found}) == len(found)


def test_a_checkpoint_leads_back_and_a_problem_forward(curation: Callable[..., Curation]) -> None:
    run = curation()
    chosen = run.ready()["rl_prompt_set"].outputs
    context = run.context
    checkpoint = save_checkpoint(
        context.home.checkpoints,
        "rl",
        lambda folder: (folder / "config.json").write_text("{}"),
        recipe={"policy": "p1"},
        data_versions={"prompt_set": {"name": "smoke", "version": 1, "digest": chosen["digest"]}},
    )
    context.lake.append(
        tables.STAGES,
        [
            {
                "stage": "rl_checkpoint",
                "partition": "smoke",
                "fingerprint": "f",
                "data_version": checkpoint.digest,
                "inputs": json.dumps({"settings": {}, "code": "c", "upstream": {"rl_prompt_set": chosen["digest"]}}),
                "outputs": "{}",
                "metadata": "{}",
            }
        ],
        run_id="r",
        reason="test",
    )
    found = blame(context.lake, context.home.checkpoints, checkpoint.digest[:8])
    assert found["prompt_set"]["version"] == 1
    assert [row["stage"] for row in found["stages"]][:2] == ["rl_checkpoint", "rl_prompt_set"]
    assert found["sources"] and "builtin" in found["sources"][0]
    assert blame(context.lake, context.home.checkpoints, "rl")["checkpoint"] == checkpoint.digest
    with pytest.raises(UserError, match=checkpoint.digest[:12]):
        blame(context.lake, context.home.checkpoints, "nothing")

    member = context.lake.rows("select problem_id from prompt_set order by 1 limit 1")[0]["problem_id"]
    row = {"sample_id": "s", "policy": "p1", "problem_id": member, "iteration": 1, "trained": True}
    context.lake.append(tables.ROLLOUTS, [row], run_id="r", reason="test")
    held = impact(context.lake, context.home.checkpoints, member)
    assert (held["kind"], held["problems"]) == ("problem", 1)
    assert held["sets"] == [{"version": "smoke@1", "problems": 1, "size": found_size(run)}]
    assert held["checkpoints"] == [{"checkpoint": checkpoint.digest, "stage": "rl", "trained_on": 1}]
    source = impact(context.lake, context.home.checkpoints, "builtin")
    assert (source["kind"], source["sets"][0]["problems"]) == ("source", found_size(run))
    rule = context.lake.rows("select distinct actor from ledger where stage = 'evaluability'")[0]["actor"]
    assert impact(context.lake, context.home.checkpoints, rule)["kind"] == "rule"
    with pytest.raises(UserError, match="builtin"):
        impact(context.lake, context.home.checkpoints, "builtn")


def test_the_checkpoint_of_a_stage_is_found_where_its_weights_are_gone(tmp_path: Path) -> None:
    root, folders = tmp_path / "checkpoints", [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (folder / name).write_text(folder.name)
        made = register_folder(root, "base", folder)
    os.utime(folders[0], (2e9, 2e9))  # copied about since
    assert find_checkpoint_by(root, "base") == made
    shutil.rmtree(folders[1])
    assert find_checkpoint_by(root, "base") == made


def found_size(run: Curation) -> int:
    return int(run.context.lake.rows("select size from prompt_set_versions")[0]["size"])
