"""The trainer: the same update at every ZeRO stage, forgetting its moments, weights out and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.training.packing import collate

STAGES = (0, 1, 2, 3)


@pytest.fixture
def batch(ranks: Any) -> Any:
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, 250, rng.integers(1, 20)) for _ in range(8)]
    return collate(prompts, [rng.integers(3, 250, rng.integers(1, 30)) for _ in range(8)], pad_id=2)


def train(trainer: Any, batch: Any, steps: int = 1, rate: float = 1e-2) -> float:
    norm = 0.0
    for _ in range(steps):
        # Two backward passes a step: what they add up to is the loss of the whole.
        for share in (0.25, 0.75):
            trainer.backward(-share * trainer.scores(batch).log_probs.mean())
        norm = trainer.step(rate)
    return norm


def moments(trainer: Any) -> float:
    states = trainer.engine.basic_optimizer.state.values()
    return sum(float(value.double().abs().sum()) for state in states for value in state.values())


def test_every_stage_takes_the_same_steps(make_trainer: Callable[..., Any], batch: Any) -> None:
    import torch

    found = {}
    for stage in STAGES:
        trainer = make_trainer(zero_stage=stage)
        norm = train(trainer, batch, steps=3)
        found[stage] = (norm, trainer.whole_weights())
    for stage in STAGES[1:]:
        assert found[stage][0] == pytest.approx(found[0][0], rel=1e-3)
        for name, weight in found[0][1].items():
            torch.testing.assert_close(found[stage][1][name], weight, atol=2e-4, rtol=1e-3, msg=f"ZeRO-{stage}: {name}")


@pytest.mark.parametrize("stage", STAGES)
def test_a_reset_forgets_the_moments_and_a_step_after_it_is_a_first_step(
    make_trainer: Callable[..., Any], batch: Any, stage: int
) -> None:
    trainer = make_trainer(zero_stage=stage)
    assert moments(trainer) == 0.0
    train(trainer, batch, steps=2)
    assert moments(trainer) > 0.0
    trainer.reset_optimizer()
    assert moments(trainer) == 0.0
    before = {name: weight.clone() for name, weight in trainer.whole_weights().items()}
    train(trainer, batch, rate=1e-3)
    # The first step of an Adam without moments moves every weight that has a gradient by the learning rate.
    moved = max(float((weight - before[name]).abs().max()) for name, weight in trainer.whole_weights().items())
    assert moved == pytest.approx(1e-3, rel=0.02)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_gradient_that_is_no_number_stops_and_leaves_the_weights(
    make_trainer: Callable[..., Any], batch: Any, stage: int, dtype: str
) -> None:
    import torch

    from kimi_pipeline.training.engine import NotFinite

    trainer = make_trainer(zero_stage=stage, dtype=dtype)
    before = {name: weight.clone() for name, weight in trainer.whole_weights().items()}
    trainer.backward(trainer.scores(batch).log_probs.sum() * float("nan"))
    with pytest.raises(NotFinite):
        trainer.step(1e-2)
    assert all(torch.equal(weight, before[name]) for name, weight in trainer.whole_weights().items())


def test_the_gradient_norm_is_clipped(make_trainer: Callable[..., Any], batch: Any) -> None:
    for stage in (0, 1):
        trainer = make_trainer(zero_stage=stage, max_grad_norm=1e-3)
        trainer.backward(-trainer.scores(batch).log_probs.mean())
        assert trainer.step(1e-2) > 1e-2  # the norm before clipping
        state = next(iter(trainer.engine.basic_optimizer.state.values()))
        assert float(state["exp_avg"].norm()) < 1e-3


def test_saved_weights_are_the_trained_ones_with_their_tokenizer(
    make_trainer: Callable[..., Any], batch: Any, tmp_path: Path, tiny_folder: Path
) -> None:
    import torch

    from kimi_pipeline.training.policy import load_model

    trainer = make_trainer(zero_stage=3)
    train(trainer, batch)
    folder = tmp_path / "saved"
    folder.mkdir()
    weights = trainer.whole_weights()
    trainer.write(folder, weights)
    loaded = dict(load_model(folder, "float32").named_parameters())
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weight) for name, weight in weights.items())
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (tiny_folder / name).read_bytes()


def tied_model(tiny_folder: Path, folder: Path, **config: Any) -> Path:
    """The tiny model with one matrix for embedding and head."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    values = json.loads((tiny_folder / "config.json").read_text()) | {"tie_word_embeddings": True} | config
    AutoModelForCausalLM.from_config(LlamaConfig(**values)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("stage", [1, 3])
def test_a_tied_head_is_handed_out_under_its_own_name(
    make_trainer: Callable[..., Any], tiny_folder: Path, tmp_path: Path, stage: int
) -> None:
    import torch

    trainer = make_trainer(folder=tied_model(tiny_folder, tmp_path), zero_stage=stage)
    weights = dict(trainer.named_weights())
    assert torch.equal(weights["lm_head.weight"], weights["model.embed_tokens.weight"])


def test_logits_in_parts_are_the_logits_at_once(
    make_trainer: Callable[..., Any], batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from kimi_pipeline.training import policy

    trainer = make_trainer()
    whole = trainer.scores(batch, 0.7, entropy=True)
    monkeypatch.setattr(policy, "LOGITS_AT_ONCE", 600 * 10)
    parts = trainer.scores(batch, 0.7, entropy=True)
    torch.testing.assert_close(parts.log_probs, whole.log_probs)
    torch.testing.assert_close(parts.entropies, whole.entropies)
    gradients = []
    for scores in (whole, parts):
        trainer.policy.zero_grad()
        scores.log_probs.sum().backward()
        gradients.append([parameter.grad.clone() for parameter in trainer.policy.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_log_probs_are_those_of_the_model_at_the_temperature(make_trainer: Callable[..., Any], batch: Any) -> None:
    import torch

    trainer = make_trainer()
    with torch.no_grad():
        logits = trainer.policy.model(input_ids=batch.input_ids).logits.flatten(0, 1)[batch.positions]
        expected = torch.log_softmax(logits / 0.7, -1)
        scores = trainer.scores(batch, 0.7, entropy=True)
    torch.testing.assert_close(scores.log_probs, expected.gather(1, batch.targets[:, None])[:, 0])
    torch.testing.assert_close(scores.entropies, torch.distributions.Categorical(logits=logits / 0.7).entropy())


def test_a_folder_that_is_no_model_is_refused(make_trainer: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        make_trainer(folder=tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_saved_state_goes_on_bit_for_bit(
    make_trainer: Callable[..., Any], batch: Any, tmp_path: Path, stage: int
) -> None:
    trainer = make_trainer(zero_stage=stage)
    train(trainer, batch, steps=2)
    trainer.save_state(tmp_path)
    train(trainer, batch, steps=2)
    again = make_trainer(zero_stage=stage)
    again.load_state(tmp_path)
    train(again, batch, steps=2)
    mine, theirs = again.whole_weights(), trainer.whole_weights()
    assert all(bool((mine[name] == theirs[name]).all()) for name in theirs)


@pytest.mark.parametrize("stage", [1, 2])
def test_states_that_were_away_change_nothing(make_trainer: Callable[..., Any], batch: Any, stage: int) -> None:
    trainer, stayed = make_trainer(zero_stage=stage), make_trainer(zero_stage=stage)
    for _ in range(3):
        train(trainer, batch)
        train(stayed, batch)
        trainer.offload_states()
        trainer.scores(batch)  # the weights stay: the canary needs them
        trainer.reload_states()
    mine, theirs = trainer.whole_weights(), stayed.whole_weights()
    assert all(bool((mine[name] == theirs[name]).all()) for name in theirs)
