"""Several engines beside each other: the same samples as of one, and no process that outlives its owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.replicas import own_devices
from kimi_pipeline.profiles.sections import Inference
from tests import forks
from tests.conftest import require
from tests.inference.replicas_probe import requests, tokens
from tests.processes import alive, survivors


@pytest.fixture(scope="module")
def probe(tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two engines answered; the process that owned them is killed by now, with one of them still alive."""
    require("vllm")
    file = tmp_path_factory.mktemp("replicas") / "probe.json"
    file.write_text(json.dumps([str(folder) for folder in tiny_models]))
    owner = forks.start_module("tests.inference.replicas_probe", file)
    found: Any = []
    while not isinstance(found, dict):
        with pytest.raises(subprocess.TimeoutExpired):  # it has not ended
            owner.wait(0.1)
        found = json.loads(file.read_text())
    found["alive_before"] = [alive(pid) for pid in found["processes"]]
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    found["survivors"] = survivors(found["processes"])
    return found


@pytest.mark.slow
def test_two_engines_draw_the_samples_of_one(probe: dict[str, Any], carrier: Any) -> None:
    alone = tokens(carrier.generate(requests(80)))
    assert probe["many"] == alone
    assert probe["after_a_stop"] == {name: alone[name] for name in ("p0", "p1", "p2")}


@pytest.mark.slow
def test_what_is_too_long_is_an_error_beside_answers(probe: dict[str, Any]) -> None:
    (error,) = probe["errors"]
    assert error.startswith("prompt_too_long")
    assert probe["beside_an_error"] == {name: probe["many"][name] for name in ("p0", "p1")}


@pytest.mark.slow
def test_both_engines_take_other_weights(probe: dict[str, Any], carrier: Any, tiny_models: list[Path]) -> None:
    carrier.swap(tiny_models[1])
    try:
        other = tokens(carrier.generate(requests(4)))
    finally:
        carrier.swap(tiny_models[0])
    assert probe["swapped"] == other != {name: probe["many"][name] for name in other}


@pytest.mark.slow
def test_a_refused_folder_is_the_users_error_and_leaves_the_engines_usable(probe: dict[str, Any]) -> None:
    assert "/no/such/model" in probe["refused"]
    assert probe["after_a_refusal"] == probe["swapped"]


@pytest.mark.slow
def test_an_engine_that_dies_is_told_and_none_outlives_its_owner(probe: dict[str, Any]) -> None:
    assert probe["death"].startswith("engine 0 died with exit code -9")
    assert probe["alive_before"] == [False, True]
    assert probe["survivors"] == []


def test_engines_share_out_the_cards_that_the_job_may_see() -> None:
    settings = Inference(device="cuda", data_parallel=2, tensor_parallel=2)
    seen = [one["CUDA_VISIBLE_DEVICES"] for one in own_devices(settings, "4,5,6,7")]
    assert seen == ["4,5", "6,7"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in own_devices(settings, None)] == ["0,1", "2,3"]
    assert own_devices(Inference(data_parallel=2), None) == [{}, {}]
    with pytest.raises(UserError, match=r"needs 4 GPUs, and 3 are visible: lower inference\.data_parallel"):
        own_devices(settings, "0,1,2")
