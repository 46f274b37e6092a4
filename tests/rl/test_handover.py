"""Weight swaps into a real vLLM: the canary passes after a right one and stops the job after a wrong one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require
from tests.training.test_engine import tied_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    require("vllm")
    folder = tied_model(tiny_folder, tmp_path_factory.mktemp("tied"), initializer_range=0.2)
    probe = Path(__file__).with_name("handover_probe.py")
    environment = os.environ | {"PYTHONPATH": str(probe.parents[2])}
    command = [sys.executable, str(probe), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
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
