"""The SFT job from spec to checkpoint, its record in MLflow, and the gate that refuses a base that has not learned."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.checkpoints import find_checkpoint
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Report
from kimi_pipeline.profiles import load_profile
from tests.training.conftest import LEARNS, toy_examples, write_rows

pytestmark = pytest.mark.slow


def test_the_job_trains_saves_and_says_so(job_home: Home, sft_spec: dict[str, Any], sft_job: Any) -> None:
    result, output = sft_job
    checkpoint = find_checkpoint(job_home.checkpoints, result["digest"])
    assert checkpoint.stage == "sft" and checkpoint.parent == sft_spec["checkpoint"]["digest"]
    assert checkpoint.data_versions == {"sft_corpus": "c" * 32}
    assert checkpoint.recipe["sft"]["learning_rate"] == LEARNS["sft.learning_rate"]
    # It has learned the format: what is left is how it begins and which digit, some 2 nats over a response's tokens.
    assert checkpoint.metrics["held_out_loss"] == pytest.approx(result["metrics"]["held_out_loss"])
    assert checkpoint.metrics["held_out_loss"] < 1.2
    assert result["curve"][0]["loss"] > 3.0 > result["curve"][-1]["loss"]
    assert result["tokens_per_second"] > 0 and "held-out loss" in output and "] 1/" in output


def test_the_run_is_in_mlflow_with_its_curve_and_its_checkpoint(job_home: Home, sft_job: Any) -> None:
    from mlflow.tracking.client import MlflowClient

    client = MlflowClient(job_home.mlflow_uri)
    (run,) = client.search_runs([client.get_experiment_by_name("sft").experiment_id])
    assert run.info.status == "FINISHED" and run.data.tags["kimi.run_id"] == "5f" * 16
    assert run.data.params["sft.batch_tokens"] == str(LEARNS["sft.batch_tokens"])
    losses = [point.value for point in client.get_metric_history(run.info.run_id, "loss")]
    assert len(losses) > 10 and losses[-1] < losses[0]
    (version,) = client.search_model_versions("name = 'kimi-sft'")
    assert version.tags["digest"] == sft_job[0]["digest"] and version.run_id == run.info.run_id
    manifest = Path(client.download_artifacts(run.info.run_id, "manifest.json"))
    assert json.loads(manifest.read_text())["digest"] == sft_job[0]["digest"]


def run_here(tmp_path: Path, spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The job in this process: torch is there already."""
    from kimi_pipeline.training import sft

    home = Home(tmp_path / "home").prepare()
    overrides = LEARNS | {name.replace("__", "."): value for name, value in changes.items()}
    few = write_rows(tmp_path / "few.parquet", toy_examples(2, 60, "clean"))
    profile = load_profile("laptop", overrides).settings()
    return sft.run(spec | {"home": str(home.root), "profile": profile, "examples": few}, Report("sft"))


def test_a_base_that_has_not_learned_stops_the_lineage(tmp_path: Path, sft_spec: dict[str, Any], ranks: Any) -> None:
    with pytest.raises(
        UserError, match=r"the base has not learned: held-out loss \d\.\d+ .* raise sft\.clean_examples"
    ):
        run_here(tmp_path, sft_spec, sft__max_held_out_loss=0.01)
    assert not any((tmp_path / "home" / "checkpoints").iterdir())


def test_a_rate_that_blows_up_is_named(
    tmp_path: Path, sft_spec: dict[str, Any], ranks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kimi_pipeline.training.supervised.cosine", lambda *_: math.inf)
    with pytest.raises(UserError, match=r"at step \d of \d: lower sft\.learning_rate"):
        run_here(tmp_path, sft_spec)


def test_held_out_examples_of_guesses_alone_judge_nothing(tmp_path: Path, sft_spec: dict[str, Any], ranks: Any) -> None:
    guesses = [row | {"format": "guess"} for row in toy_examples(3, 20, "held_out")]
    path = write_rows(tmp_path / "g.parquet", guesses)
    with pytest.raises(UserError, match="none in the reasoning format"):
        run_here(tmp_path, sft_spec | {"held_out": path})
