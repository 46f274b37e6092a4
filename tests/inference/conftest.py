"""Fixtures of the inference tests: problems, contexts that run real jobs, one tiny model and one engine a session."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kimi_pipeline.inference.drawing import SamplingPass
from kimi_pipeline.jobs import LocalLauncher, Report
from kimi_pipeline.stages import Context
from tests.conftest import missing

WINDOW = 256


def problem_table(count: int, start: int = 0) -> pa.Table:
    """Problems whose answer is their number modulo 2."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "problem_id": [f"p{number}" for number in numbers],
            "prompt": [f"What is left of {number} after division by 2?" for number in numbers],
            "answer": [str(number % 2) for number in numbers],
            "answer_kind": ["integer"] * count,
        }
    )


def sampling_pass(problems: pa.Table, **changes: Any) -> SamplingPass:
    values: dict[str, Any] = {
        "purpose": "difficulty", "checkpoint": "ckpt", "folder": None, "problems": problems, "template": "tiny",
        "format": "reasoning", "temperature": 1.0, "max_tokens": 32, "samples": 4,
    }  # fmt: skip
    return SamplingPass(**(values | changes))


@pytest.fixture
def endpoint_context(make_context: Callable[..., Context], home: Any) -> Callable[..., Context]:
    """A context whose profile samples through an endpoint and whose launcher starts real jobs."""

    def make(url: str, **changes: Any) -> Context:
        settings = {"inference__carrier": "endpoint", "inference__endpoint_url": url, "inference__endpoint_model": "m"}
        return make_context(launcher=LocalLauncher(home.jobs), **(settings | changes))

    return make


@pytest.fixture
def report() -> Report:
    return Report("test")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two fresh tiny models of the same shape with different weights."""
    if importlib.util.find_spec("torch") is None:
        missing("torch is not installed (pip install .[cpu])")
    from kimi_pipeline.models.tiny import save_tiny
    from kimi_pipeline.profiles.profile import Model

    folder = tmp_path_factory.mktemp("models")
    return [save_tiny(Model(layers=2, window=WINDOW), seed, folder / f"tiny-{seed}") for seed in (0, 1)]


@pytest.fixture(scope="session")
def carrier(tiny_models: list[Path]) -> Iterator[Any]:
    """One vLLM engine for all tests of the session; it serves the first tiny model unless a test swaps."""
    if importlib.util.find_spec("vllm") is None:
        missing("vLLM is not installed (pip install .[cpu])")
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.profiles.profile import Inference

    made = VllmCarrier(tiny_models[0], Inference(max_num_seqs=64, kv_cache_gib=0.25), window=WINDOW, dtype="float32")
    yield made
    made.close()
