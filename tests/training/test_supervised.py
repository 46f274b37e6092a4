"""Supervised fine-tuning: the rate over time, the order of phases, the loss in any batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conftest import require


def examples(clean: int, noisy: int) -> Any:
    from kimi_pipeline.training.examples import Examples

    rng = np.random.default_rng(0)
    count = clean + noisy
    return Examples(
        [rng.integers(3, 250, rng.integers(1, 10)) for _ in range(count)],
        [rng.integers(3, 250, rng.integers(1, 20)) for _ in range(count)],
        ["reasoning"] * count,
        ["clean"] * clean + ["noisy"] * noisy,
    )


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    require("torch", "deepspeed")
    from kimi_pipeline.training.supervised import cosine

    rates = [cosine(step, 1000, 2.0) for step in range(1000)]
    assert rates[0] == pytest.approx(2.0 / 30, rel=0.01)
    assert max(rates) == pytest.approx(2.0, rel=0.01) and rates.index(max(rates)) < 40
    assert rates[-1] == pytest.approx(0.2)
    assert rates[40:] == sorted(rates[40:], reverse=True)


def test_every_clean_pass_comes_before_any_noisy_one() -> None:
    require("torch", "deepspeed")
    from kimi_pipeline.training.supervised import plan

    data = examples(50, 30)
    batches = plan(data, batch_tokens=100, epochs=2, seed=0)
    flat = [int(i) for batch in batches for i in batch]
    phases = [data.phases[i] for i in flat]
    assert phases == ["clean"] * 100 + ["noisy"] * 60
    assert all(flat.count(i) == 2 for i in range(80))


def test_the_held_out_loss_is_a_mean_over_tokens_whatever_the_batches(make_trainer: Callable[..., Any]) -> None:
    from kimi_pipeline.training.packing import collate
    from kimi_pipeline.training.supervised import loss_of

    trainer, data = make_trainer(), examples(20, 0)
    whole = -trainer.scores(collate(data.prompts, data.responses, 2)).log_probs.mean().item()
    for tokens in (8, 50, 10_000):
        assert loss_of(trainer, data, batch_tokens=tokens, pad_id=2) == pytest.approx(whole, rel=1e-5)
