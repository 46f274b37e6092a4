"""Weight swaps into a real vLLM: the canary passes after a right one and stops the job after a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.conftest import require
from tests.rl.handover_probe import FOUND
from tests.training.test_engine import tied_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    require("vllm")
    folder = tied_model(tiny_folder, tmp_path_factory.mktemp("tied"), initializer_range=0.2)
    assert forks.start_module("tests.rl.handover_probe", folder).wait() == 0
    found: dict[str, Any] = json.loads((folder / FOUND).read_text())
    return found


@pytest.mark.parametrize(
    "case", ["all weights", "all weights, at another temperature", "all weights again", "all weights at last"]
)
def test_a_right_swap_passes(cases: dict[str, Any], case: str) -> None:
    assert cases[case].get("gap", 1.0) <= 1e-4, cases[case]


@pytest.mark.parametrize(
    "case",
    [
        "before any hand-over",
        "a step without a hand-over",
        "a tied head left out",
        "a prefix cache of the old weights",
    ],
)
def test_a_wrong_swap_is_an_error_that_names_gap_iteration_and_limit(cases: dict[str, Any], case: str) -> None:
    message = cases[case].get("error", "")
    assert f"iteration {list(cases).index(case)}:" in message, cases[case]
    assert "nats" in message and "rl.max_logprob_gap is 0.0001" in message
