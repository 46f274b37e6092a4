"""Fixtures of the inference tests: problems, contexts that run real jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from kimi_pipeline.inference.drawing import SamplingPass
from kimi_pipeline.jobs import LocalLauncher, Report
from kimi_pipeline.stages import Context


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
