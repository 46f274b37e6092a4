"""A trial on a scripted model: real stages, store and verifier; the weights alone are a script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench import trial as module
from kimi_pipeline.bench.trial import READ, Trial, held_out
from kimi_pipeline.checkpoints import register_folder
from kimi_pipeline.corpora.builtin import EVALUATION_SET, evaluation_problems
from kimi_pipeline.home import Home
from kimi_pipeline.inference import sampling_job
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.stages import Context, code_version
from kimi_pipeline.tables.declare import as_json
from kimi_pipeline.training.stages import SFT_CHECKPOINT
from tests.curation.conftest import InProcess, ScriptedCarrier

SMALL = {"corpora.evaluation_problems": 60, "evaluation.samples": 2}
POLICY = "p" * 32


def model_folder(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(folder.name.encode())
    return folder


class Launcher(InProcess):
    """Samples in this process; the RL job is replaced by what it would answer."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.specs: list[dict[str, Any]] = []

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        if module != "kimi_pipeline.rl.loop":
            return super().run(module, spec, ranks=ranks)
        self.specs.append(spec)
        trained = register_folder(self.home.checkpoints, "rl", self.home.root / "trained", note="of a script")
        curves = [{"iteration": 1, "pass_rate": 0.5, "reward": 0.5, "loss": 0.1}]
        return {"digest": trained.digest, "policy": POLICY, "curves": curves}


@pytest.fixture
def scripted(home: Home, make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch) -> Context:
    """A home with held-out problems, an SFT checkpoint and a prompt set. The trained policy answers every second problem
    right, at temperature 1 only its first answer; the SFT checkpoint none."""
    changes = {name.replace(".", "__"): value for name, value in SMALL.items()}
    context = make_context(launcher=Launcher(home), **changes)
    rows = {
        p.problem_id: {"problem_id": p.problem_id, "answer": p.answer} for p in evaluation_problems(context.profile)
    }
    right = set(sorted(rows)[::2])
    serves: list[str] = []

    class Carrier(ScriptedCarrier):
        def generate(self, requests: Any) -> Any:
            for request in requests:
                known = serves[-1] == "trained" and request.problem_id in right and request.sample_index == 0
                self.plays.script = lambda row, purpose, rng, known=known: (
                    f"\\boxed{{{row['answer'] if known else 'no'}}}"
                )
                yield from super().generate([request])

    class Carriers:
        seconds = 0.0

        def __init__(self, profile: Any) -> None: ...

        def serving(self, folder: Path) -> Carrier:
            serves.append(folder.name)
            return Carrier(rows, SimpleNamespace())

        def close(self) -> None: ...

    monkeypatch.setattr(sampling_job, "Carriers", Carriers)
    for name in ("trained", "sft"):
        model_folder(home.root / name)
    stored = [
        {
            "evaluation_set": EVALUATION_SET,
            "problem_id": p.problem_id,
            "prompt": p.prompt,
            "answer": p.answer,
            "answer_kind": p.answer_kind,
            "domain": p.domain,
            "labels": [],
        }
        for p in evaluation_problems(context.profile)
    ]
    context.lake.append(tables.EVALUATION_PROBLEMS, stored, run_id=context.run_id, reason="test")
    sft = register_folder(home.checkpoints, "sft", home.root / "sft")
    chosen = {"prompt_set": "smoke", "version": 1, "digest": "d"}
    outcome(context, "sft_checkpoint", "smoke", sft.digest, {"digest": sft.digest, "folder": str(sft.folder)})
    outcome(context, "rl_prompt_set", "smoke", "set-1", chosen)
    member = {"prompt_set": "smoke", "version": 1, "problem_id": "a" * 32, "prompt": "q", "answer": "1"}
    more = {"answer_kind": "integer", "domain": "d", "bucket": "b", "pass_rate": 0.5, "weight": 1.0, "reason": "r"}
    context.lake.append(tables.PROMPT_SET, [member | more], run_id=context.run_id, reason="test")
    rate = {"problem_id": "a" * 32, "checkpoint": sft.digest, "n": 10, "correct": 5}
    context.lake.append(tables.DIFFICULTY, [rate], run_id=context.run_id, reason="test")
    return context


def outcome(context: Context, stage: str, partition: str, version: str, outputs: dict[str, Any], **inputs: Any) -> None:
    row = {
        "stage": stage,
        "partition": partition,
        "fingerprint": "f",
        "data_version": version,
        "inputs": as_json({"settings": {}, "code": "", "upstream": {}} | inputs),
        "outputs": as_json(outputs),
        "metadata": as_json({"figures": {}, "plots": {}, "preview": []}),
    }
    context.lake.append(tables.STAGES, [row], run_id=context.run_id, reason="test")


def trial_of(context: Context, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr(module, "LocalLauncher", lambda folder: context.launcher)
    return Trial(context.home, context.profile, say=lambda line: None)


def test_a_trial_trains_and_answers_in_one_order_of_problems(
    scripted: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trial_of(scripted, monkeypatch).run()
    answers = found["answers"]
    assert (
        answers["rl"]["1.0"]["right"] == [0.5, 0.0] * 30
    )  # of two answers the first is right, on every second problem
    assert answers["rl"]["0.0"]["right"] == [1.0, 0.0] * 30  # greedy there is one
    assert answers["sft"]["1.0"]["right"] == answers["sft"]["0.0"]["right"] == [0.0] * 60
    assert all(tokens is not None and tokens >= 1 for tokens in answers["rl"]["1.0"]["tokens"])
    assert found["curves"] == [{"reward": 0.5, "pass_rate": 0.5}]  # what a study looks at
    assert (found["note"], found["policy"]) == ("of a script", POLICY)


def test_the_job_trains_on_the_set_and_checkpoint_that_are_shared(
    scripted: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial_of(scripted, monkeypatch).run()
    (spec,) = scripted.launcher.specs  # type: ignore[attr-defined]
    assert spec["checkpoint"]["folder"].endswith("sft")
    assert spec["prompt_set"] == {"name": "smoke", "version": 1, "digest": "d"}


def test_a_problem_without_a_verdict_has_no_value(scripted: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = {"rl": (POLICY, scripted.home.root / "trained")}
    before = held_out(scripted, trained)["rl"]
    rows = scripted.lake.read(tables.SAMPLES).to_pylist()
    (lost,) = [
        row for row in rows if row["temperature"] == 0 and row["problem_id"] == max(r["problem_id"] for r in rows)
    ]
    broken = lost | {"status": str(Status.INFRASTRUCTURE_ERROR)}
    rest = [row for row in rows if row is not lost]
    scripted.lake.replace(tables.SAMPLES, [*rest, broken], where=None, run_id=scripted.run_id, reason="test")
    after = held_out(scripted, trained)["rl"]
    assert after["0.0"]["right"] == [*before["0.0"]["right"][:-1], None]
    assert after["1.0"] == before["1.0"]


def test_inputs_name_code_settings_and_data(scripted: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trial_of(scripted, monkeypatch)
    parts = trial.inputs()
    assert {"code of trial", "code of rl_checkpoint", "settings of rl_checkpoint", "code of evaluation"} <= parts.keys()
    assert {f"data of {name}" for name in READ} <= parts.keys()
    assert parts["data of rl_prompt_set"] == "set-1"
    assert parts["data of evaluation_problems"] == "none"  # no stage wrote them here
    other = Trial(scripted.home, load_profile("smoke", SMALL | {"rl.tau": 0.2})).inputs()
    assert {name for name in parts if parts[name] != other[name]} == {"settings of rl_checkpoint"}
    outcome(scripted, "rl_prompt_set", "smoke", "set-2", {"prompt_set": "smoke", "version": 2, "digest": "set-2"})
    assert trial.inputs()["data of rl_prompt_set"] == "set-2"


def test_a_shared_stage_made_with_other_code_or_settings_is_named(
    scripted: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = trial_of(scripted, monkeypatch)
    assert {"code of sft_checkpoint", "settings of sft_checkpoint"} <= trial.inputs().keys()
    now = {"code": code_version(SFT_CHECKPOINT.code), "settings": SFT_CHECKPOINT.settings(scripted)}
    outcome(scripted, "sft_checkpoint", "smoke", "new", {}, **now)
    assert not {"code of sft_checkpoint", "settings of sft_checkpoint"} & trial.inputs().keys()
