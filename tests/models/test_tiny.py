"""The tiny model: seeded, loadable by transformers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from kimi_pipeline.inference.vllm_carrier import render_prompt  # noqa: E402
from kimi_pipeline.models.tiny import HEAD_SIZE, build_tiny, save_tiny  # noqa: E402
from kimi_pipeline.models.tokenizer import build_tokenizer  # noqa: E402
from kimi_pipeline.profiles.profile import Model  # noqa: E402

SETTINGS = Model(layers=2, width=64, heads=4, window=256)


def test_the_seed_decides_the_weights_and_nothing_else_is_touched():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, same, other = build_tiny(SETTINGS, 1), build_tiny(SETTINGS, 1), build_tiny(SETTINGS, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_shape():
    model = build_tiny(SETTINGS, 0)
    assert model.config.head_dim == HEAD_SIZE
    assert model.config.vocab_size >= len(build_tokenizer())
    assert "lm_head.weight" in dict(model.named_parameters())  # not tied: a weight swap hands it over
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert 150_000 < sum(parameter.numel() for parameter in model.parameters()) < 350_000


def test_the_saved_folder_is_the_model(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_tiny(SETTINGS, 3, tmp_path)
    tokens = torch.tensor([render_prompt(AutoTokenizer.from_pretrained(tmp_path), "First rotate left")])
    with torch.no_grad():
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path)(tokens).logits
        assert torch.equal(loaded, build_tiny(SETTINGS, 3)(tokens).logits)
