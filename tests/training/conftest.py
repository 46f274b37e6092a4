"""A tiny Llama with the laptop's tokenizer, and this process as one rank of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.profiles.profile import Inference, Model
from tests.conftest import require

SIZE = Model(layers=2, width=32, heads=1, window=128)


@pytest.fixture(scope="session")
def ranks() -> Any:
    require("torch", "deepspeed", "transformers")
    from kimi_pipeline.training.runtime import init_distributed, prepare_process

    prepare_process(Inference())
    return init_distributed("cpu", 2)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, ranks: Any) -> Path:
    """A freshly initialised model of about 50,000 parameters, with its tokenizer."""
    from kimi_pipeline.models.tiny import save_tiny

    return save_tiny(SIZE, 0, tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def make_trainer(tiny_folder: Path, ranks: Any) -> Callable[..., Any]:
    """A trainer of the tiny model; keyword arguments are those of `EngineSettings`."""
    from kimi_pipeline.training.engine import EngineSettings, Trainer

    def make(folder: Path = tiny_folder, **settings: Any) -> Any:
        return Trainer(folder, EngineSettings(**settings), ranks)

    return make
