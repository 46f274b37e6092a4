"""The Classic RM's model learns and ignores padding; a judge's process that refuses, dies or hangs is told, not raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.reward_models import service
from kimi_pipeline.reward_models.cot import FAILED
from kimi_pipeline.reward_models.service import REFUSED, JudgeProcess
from kimi_pipeline.rewards.second_opinion import Question
from tests.conftest import require

QUESTION = Question("q", "5", "\\boxed{5}")
FAKE = """
import json, sys, time
spec = json.loads(sys.stdin.readline())
print(json.dumps({"ready": "fake"}), flush=True)
for line in sys.stdin:
    response = json.loads(line)["questions"][0][2]
    if response == "die":
        sys.exit(1)
    if response == "hang":
        time.sleep(60)
    print(json.dumps({"opinions": [{"correct": True, "evidence": ["yes"]}]}), flush=True)
"""


@pytest.fixture
def fake_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_judge_service.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(service, "MODULE", "fake_judge_service")


def model_folder(folder: Path, architecture: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "tokenizer.json").touch()
    (folder / "model.safetensors").touch()
    return folder


@pytest.mark.usefixtures("fake_service")
def test_a_process_that_dies_or_hangs_is_started_again_and_then_given_up() -> None:
    judge = JudgeProcess(Path("m"), "c" * 32, load_profile("laptop", {}), seconds=2.0)
    assert judge.judge([QUESTION])[0].correct is True
    for bad in ("die", "hang"):
        (found,) = judge.judge([Question("q", "5", bad)])
        assert (found.correct, found.reason, found.failed) == (None, FAILED, True)
        judge._restarts = service.RESTARTS
        assert judge.judge([QUESTION])[0].evidence == ("yes",)
    judge.close()


def test_a_checkpoint_of_another_architecture_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "classic", "LlamaForSequenceClassification")
    judge = JudgeProcess(folder, "c" * 32, load_profile("laptop", {}), seconds=60.0)
    (found,) = judge.judge([QUESTION])
    assert (found.correct, found.reason, found.failed) == (None, REFUSED, True)
    assert "LlamaForSequenceClassification, which writes no text" in found.evidence[0]
    with pytest.raises(UserError, match="writes no text"):
        JudgeProcess(folder, "c" * 32, load_profile("laptop", {}), seconds=60.0).start()


def test_a_process_that_never_serves_is_no_start() -> None:
    ends_at_once = "kimi_pipeline.errors"
    judge = JudgeProcess(Path("m"), "c" * 32, load_profile("laptop", {}), seconds=60.0, module=ends_at_once)
    with pytest.raises(UserError, match="did not start"):
        judge.start()


def test_a_value_head_whose_gradient_is_no_number_ends_in_one_line() -> None:
    require("torch", "deepspeed")
    from kimi_pipeline.training.engine import NotFinite
    from kimi_pipeline.training.supervised import stepped

    class Diverged:
        def step(self, rate: float) -> float:
            raise NotFinite("gradient norm nan")

    line = r"classic_rm: gradient norm nan at step 3 of 9: lower reward_models.classic_learning_rate \(0.5\)"
    with pytest.raises(UserError, match=line):
        stepped(Diverged(), 2, 9, 0.1, "classic_rm", "reward_models.classic_learning_rate", 0.5)  # type: ignore[arg-type]


def test_the_value_head_learns_and_sees_no_padding(tiny_models: list[Path], tmp_path: Path) -> None:
    require("torch", "deepspeed")
    from kimi_pipeline.profiles.sections import Inference
    from kimi_pipeline.reward_models.classic import fit, forward, probabilities
    from kimi_pipeline.reward_models.value_head import load_value_model
    from kimi_pipeline.training.engine import EngineSettings, Trainer
    from kimi_pipeline.training.runtime import init_distributed, prepare_process

    prepare_process(Inference())
    ranks = init_distributed("cpu", threads=1)
    settings = EngineSettings(zero_stage=0, learning_rate=3e-3, optimizer="muon")
    trainer = Trainer(tiny_models[0], settings, ranks, load=load_value_model)
    rng = np.random.default_rng(0)
    labels = rng.random(240) < 0.5
    messages: list[Any] = [np.array([70, *rng.integers(80, 90, rng.integers(2, 9)), 60 + label]) for label in labels]
    assert set(probabilities(trainer, messages, 512)) == {0.5}  # the head begins at zero
    profile = load_profile(
        "laptop", {"reward_models.classic_learning_rate": 3e-3, "sft.batch_tokens": 128, "reward_models.epochs": 2}
    )
    losses = [loss for _, _, loss in fit(trainer, (messages, labels), profile)]
    assert losses[0] == pytest.approx(0.693, abs=1e-3) and losses[-1] < 0.3
    found = probabilities(trainer, messages, 512)
    assert np.mean((found > 0.5) == labels) > 0.95
    alone = 1 / (1 + np.exp(-forward(trainer, messages[:1]).detach().numpy()))
    assert alone[0] == pytest.approx(found[0], abs=1e-5)

    weights = trainer.whole_weights()
    assert weights is not None
    (tmp_path / "saved").mkdir()
    trainer.write(tmp_path / "saved", weights)
    again = Trainer(tmp_path / "saved", settings, ranks, load=load_value_model)
    assert probabilities(again, messages, 512) == pytest.approx(found, abs=1e-5)
    with pytest.raises(UserError, match="writes no text"):
        service.check_cot_folder(tmp_path / "saved")
