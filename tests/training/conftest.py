"""A tiny Llama with the laptop's tokenizer, and this process as one rank of one."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kimi_pipeline.home import Home
from kimi_pipeline.jobs import command, write_spec
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.profiles.sections import Inference, Model
from tests import forks
from tests.conftest import require

# OpenMP reads it when torch is imported: threads that spin at barriers slow these small steps ten times on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

SIZE = Model(layers=2, width=32, heads=2, window=128)


@pytest.fixture(scope="session")
def ranks() -> Any:
    require("torch", "deepspeed", "transformers")
    from kimi_pipeline.training.runtime import init_distributed, prepare_process

    prepare_process(Inference())
    return init_distributed("cpu", threads=1)


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


# -- jobs: a policy that has learned to answer with some digit, in a few seconds ------------------------------------

LEARNS = {  # settings under which the toy task is learned well enough in a hundred steps
    "model.layers": 2,
    "model.width": 32,
    "model.heads": 2,
    "model.window": 128,
    "sft.batch_tokens": 1024,
    "sft.learning_rate": 5e-3,
    "sft.max_held_out_loss": 5.0,
    "rl.iterations": 3,
    "rl.prompts": 8,
    "rl.samples": 8,
    "rl.max_tokens": 16,
    "rl.mini_steps": 2,
    "rl.reset_optimizer": False,
    "inference.kv_cache_gib": 0.25,
    "inference.max_num_seqs": 64,
}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def toy_prompt(number: int, digit: int) -> str:
    return f"Number {number}. Say {digit}."


def toy_examples(seed: int, count: int, phase: str) -> list[dict[str, Any]]:
    """Problems that ask for one of two digits; the worked answers give either, so a policy is right half the time."""
    rng = random.Random(seed)
    return [
        {
            "user_message": f"{toy_prompt(rng.randrange(10), rng.randrange(2))}\nReason.",
            "response": f"{'So ' * rng.randrange(3)}\\boxed{{{rng.randrange(2)}}}",
            "format": "reasoning",
            "phase": phase,
        }
        for _ in range(count)
    ]


def run_job(
    folder: Path, module: str, spec: dict[str, Any], ranks: int = 1, *, launched: bool = False
) -> tuple[int, dict[str, Any] | None, str]:
    """Run a job: its exit code, its result (None where there is none), its output. `launched`: by the command that users'
    jobs have (several ranks: DeepSpeed's launcher), which imports the engines anew for each rank."""
    path = write_spec(folder, module, spec)
    if not launched:
        job = forks.start(path, ranks)
        code = job.wait()
        return code, _result(path), job.output()
    environment = os.environ | forks.TOLD
    done = subprocess.run(command(module, path, ranks), env=environment, capture_output=True, text=True, check=False)
    return done.returncode, _result(path), done.stdout + done.stderr


def _result(spec: Path) -> dict[str, Any] | None:
    path = spec.with_name("result.json")
    return json.loads(path.read_text()) if path.is_file() else None


@pytest.fixture(scope="session")
def job_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("jobs") / "home").prepare()


@pytest.fixture(scope="session")
def sft_spec(job_home: Home, tiny_folder: Path) -> dict[str, Any]:
    return {
        "home": str(job_home.root),
        "profile": load_profile("laptop", LEARNS).settings(),
        "run_id": "5f" * 16,
        "checkpoint": {"digest": "b" * 32, "folder": str(tiny_folder)},
        "examples": write_rows(job_home.root / "e.parquet", toy_examples(0, 3000, "clean")),
        "held_out": write_rows(job_home.root / "h.parquet", toy_examples(1, 100, "held_out")),
        "data_versions": {"sft_corpus": "c" * 32},
    }


@pytest.fixture(scope="session")
def sft_job(job_home: Home, sft_spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The result and the output of one SFT job, run as a process of its own."""
    code, result, output = run_job(job_home.jobs, "kimi_pipeline.training.sft", sft_spec)
    assert code == 0 and result is not None, output
    return result, output
