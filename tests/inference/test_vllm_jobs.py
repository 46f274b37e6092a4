"""Sampling jobs with real engines: kill -9 in the middle, several checkpoints in one engine, a real server behind faults."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.drawing import JOB, SamplingPass, build_spec, draw
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.jobs import write_spec
from kimi_pipeline.models.tiny import save_tiny
from kimi_pipeline.profiles.sections import Model
from kimi_pipeline.stages import Context
from tests import forks
from tests.conftest import WINDOW
from tests.inference.conftest import problem_table, sampling_pass
from tests.inference.faulty_gateway import Gateway, by_turns, forward_to
from tests.processes import family, survivors

pytestmark = pytest.mark.slow
SERVER_START_SECONDS = 300


@pytest.fixture
def engine_context(make_context: Callable[..., Context], home: Any, carrier: Any) -> Callable[..., Context]:
    """A context whose launcher starts vLLM jobs (the `carrier` fixture skips where there is no vLLM)."""
    sizes = {"model__window": WINDOW, "inference__max_num_seqs": 64, "inference__kv_cache_gib": 0.25}
    return lambda **changes: make_context(launcher=forks.ForkLauncher(home.jobs), **(sizes | changes))


def stored(context: Context) -> dict[str, dict[str, Any]]:
    rows = context.lake.read(tables.SAMPLES).to_pylist()
    assert len({row["sample_id"] for row in rows}) == len(rows)
    return {row["sample_id"]: row for row in rows}


def test_kill_9_while_vllm_samples_then_again(engine_context: Callable[..., Context], tiny_models: list[Path]) -> None:
    context = engine_context(limits__commit_samples=100, inference__data_parallel=2)
    passes = [sampling_pass(problem_table(150), folder=tiny_models[0], samples=10, max_tokens=64)]
    path = write_spec(context.home.jobs, JOB, build_spec(context, passes))
    job = forks.start(path)
    deadline = time.monotonic() + 240
    while context.lake.read(tables.SAMPLES, columns=["sample_id"]).num_rows < 300:
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    engines = family(job.pid)[1:]
    assert len(engines) == 2
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert survivors(engines) == []
    before = stored(context)
    assert 300 <= len(before) < 1500
    counts = draw(context, passes)
    after = stored(context)
    assert (counts.reused, counts.drawn, len(after)) == (len(before), 1500 - len(before), 1500)
    assert counts.committed_tokens == sum(row["completion_tokens"] for key, row in after.items() if key not in before)
    assert all(after[key] == row for key, row in before.items())  # not one committed sample was touched
    assert draw(context, passes).drawn == 0


def test_several_checkpoints_and_temperatures_in_one_job(
    engine_context: Callable[..., Context], tiny_models: list[Path], carrier: Any, tmp_path: Path
) -> None:
    """Two checkpoints of one shape share an engine by a swap; one of another shape gets an engine of its own."""
    context = engine_context()
    problems = problem_table(20)
    wider = save_tiny(Model(layers=2, width=96, window=WINDOW), 0, tmp_path / "wider")
    changes: dict[str, Any] = {"purpose": "evaluation", "samples": 1, "max_tokens": 24}
    passes = [
        sampling_pass(problems, checkpoint=name, folder=folder, temperature=temperature, **changes)
        for name, folder in zip("abc", [*tiny_models, wider], strict=True)
        for temperature in (0.0, 1.0)
    ]
    counts = draw(context, passes)
    assert (counts.drawn, counts.errors) == (120, {})
    rows = stored(context).values()
    try:
        for name, folder in zip("ab", tiny_models, strict=True):
            carrier.swap(folder)
            greedy = [row for row in rows if row["checkpoint"] == name and row["temperature"] == 0]
            texts = {row["problem_id"]: row["text"] for row in greedy}
            for request in asked(passes[0], problems):
                (completion,) = carrier.generate([request])
                assert texts[request.problem_id] == completion.text
    finally:
        carrier.swap(tiny_models[0])


def asked(one: SamplingPass, problems: Any) -> Iterator[SampleRequest]:
    template = TEMPLATES[one.template]
    for problem in problems.to_pylist()[:5]:
        message = template.user_message(problem["prompt"], one.format)
        sampling = Sampling(one.temperature, one.max_tokens)
        identity = (problem["problem_id"], one.purpose, one.checkpoint, template.id(one.format))
        yield SampleRequest(*identity, message, sampling, 0, 0, one.checkpoint)


@pytest.fixture(scope="module")
def server(tiny_models: list[Path], carrier: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real vLLM server of the first tiny model on loopback; its base URL."""
    output = tmp_path_factory.mktemp("server") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = {
        "--model": str(tiny_models[0]), "--served-model-name": "m", "--host": "127.0.0.1", "--port": str(port),
        "--dtype": "float32", "--max-model-len": str(WINDOW), "--max-num-seqs": "32", "--block-size": "32",
    }  # fmt: skip
    line = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    }
    log = output.open("w")
    process = subprocess.Popen(
        [*line, *(part for pair in arguments.items() for part in pair)],
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SERVER_START_SECONDS
        while True:
            assert process.poll() is None, output.read_text()[-3000:]
            assert time.monotonic() < deadline
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own session: the server and the engine it started
        process.wait(60)


def test_a_real_server_behind_faults(server: str, endpoint_context: Callable[..., Context], carrier: Any) -> None:
    """429s, dropped, cut and doubled answers: no sample lost, none paid twice, and the answers are the model's own."""
    faults = ("429", "503", "drop_before", "drop_after", "cut", "double", "double_body", None)
    problems = problem_table(30)
    passes = [
        sampling_pass(problems, samples=4, max_tokens=24),
        sampling_pass(problems, purpose="guess", format="guess", samples=3, max_tokens=8, stop_at_first_correct=True),
    ]
    with Gateway(upstream=forward_to(server), faults=by_turns(*faults)) as gateway:
        context = endpoint_context(gateway.url, inference__price_per_million_tokens=1)
        counts = draw(context, passes)
        assert counts.errors == {}
        assert draw(context, passes).drawn == 0
    rows = stored(context)
    assert len(rows) == counts.drawn == 30 * 4 + 30 * 3 - counts.not_needed
    assert gateway.bills == dict.fromkeys(rows, 1)
    assert set(gateway.injected) >= {fault for fault in faults if fault}
    assert {row["status"] for row in rows.values()} <= {"correct", "wrong", "no_answer", "unverifiable"}
    assert sum(row["cost"] for row in rows.values()) == pytest.approx(
        sum(row["completion_tokens"] for row in rows.values()) / 1e6
    )
    for request in asked(passes[0], problems):
        (completion,) = carrier.generate([request])
        assert rows[request.sample_id]["completion_tokens"] == completion.completion_tokens
        assert rows[request.sample_id]["prompt_tokens"] == completion.prompt_tokens
        # The server decodes as it goes and holds back a character that the token limit cut in two.
        assert rows[request.sample_id]["text"].rstrip("\ufffd") == completion.text.rstrip("\ufffd")


def test_a_wrong_model_name_at_a_real_server(server: str, endpoint_context: Callable[..., Context]) -> None:
    context = endpoint_context(server, inference__endpoint_model="nobody")
    with pytest.raises(UserError, match=r"has no model 'nobody': set inference.endpoint_model"):
        draw(context, [sampling_pass(problem_table(1))])
    context = endpoint_context(server.removesuffix("/v1"), inference__endpoint_model="m")
    with pytest.raises(UserError, match=r"check inference.endpoint_url"):
        draw(context, [sampling_pass(problem_table(1))])
    context = endpoint_context(server)
    counts = draw(context, [sampling_pass(problem_table(1), max_tokens=WINDOW)])
    assert counts.excluded == 4  # such a server shortens max_tokens to what its window leaves
    assert {row["status_reason"] for row in stored(context).values()} == {"prompt_too_long"}
