"""The sampling job through an endpoint: resumes after kill -9, draws nothing twice, imports no engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference import sampling_job
from kimi_pipeline.inference.drawing import JOB, Counts, SamplingPass, build_spec, draw, endpoint_checkpoint
from kimi_pipeline.inference.plans import Ask, AskedProblem
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.jobs import Report, command, read_result, write_spec
from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.stages import Context
from tests.inference.conftest import problem_table, sampling_pass
from tests.inference.faulty_gateway import Gateway, by_turns, completion


def run_here(context: Context, passes: list[SamplingPass]) -> Counts:
    return Counts(**sampling_job.run(build_spec(context, passes), Report("test")))


def sample_ids(context: Context) -> list[str]:
    return context.lake.read(tables.SAMPLES, columns=["sample_id"]).column(0).to_pylist()


def first_requests(one: SamplingPass, problem_id: str) -> list[SampleRequest]:
    """The requests of a pass for one problem (the prompt is no part of a sample's identity)."""
    ask = Ask(
        one.purpose, one.checkpoint, one.template, one.format, Sampling(one.temperature, one.max_tokens), one.samples, 0
    )
    problem = AskedProblem(problem_id, "", Reference(problem_id, "", "integer"))
    return [ask.request(problem, index) for index in range(one.samples)]


def always(text: str, tokens: int = 7) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    return lambda body, key: completion(text, key, tokens=tokens)


def test_draws_what_is_missing_and_nothing_else(endpoint_context: Callable[..., Context]) -> None:
    with Gateway(upstream=always("\\boxed{1}")) as gateway:
        context = endpoint_context(gateway.url)
        first = run_here(context, [sampling_pass(problem_table(10))])
        assert (first.drawn, first.reused, first.committed_tokens, first.errors) == (40, 0, 280, {})
        calls = sum(gateway.tries.values())
        again = run_here(context, [sampling_pass(problem_table(10))])
        assert (again.drawn, again.reused, again.engine_seconds) == (0, 40, 0.0)
        assert sum(gateway.tries.values()) == calls == 40
        # More problems and more samples a problem: only what is new is drawn.
        more = run_here(context, [sampling_pass(problem_table(12), samples=5)])
        assert (more.drawn, more.reused) == (20, 40)
        # A changed seed, temperature or checkpoint is another sample.
        other = run_here(
            context, [sampling_pass(problem_table(2), seed=1), sampling_pass(problem_table(2), temperature=0.5)]
        )
        assert (other.drawn, other.reused) == (16, 0)
    rows = context.lake.rows(
        "select status, count(*) n, sum(reward) reward from samples where temperature = 1 group by 1 order by 1"
    )
    assert [row["status"] for row in rows] == ["correct", "wrong"]
    assert len(set(sample_ids(context))) == len(sample_ids(context)) == 76


def test_nothing_missing_needs_no_endpoint(endpoint_context: Callable[..., Context]) -> None:
    with Gateway() as gateway:
        context = endpoint_context(gateway.url)
        run_here(context, [sampling_pass(problem_table(3))])
    gone = replace(context, profile=context.profile.with_changes({"inference.endpoint_url": "http://127.0.0.1:9/v1"}))
    assert run_here(gone, [sampling_pass(problem_table(3))]).reused == 12


def test_guesses_stop_at_the_first_right_one(endpoint_context: Callable[..., Context]) -> None:
    with Gateway(upstream=always("\\boxed{1}")) as gateway:
        context = endpoint_context(gateway.url)
        guess = sampling_pass(problem_table(10), purpose="guess", format="guess", samples=8, stop_at_first_correct=True)
        counts = run_here(context, [guess])
        # Odd numbers are right at once, even ones never.
        assert (counts.drawn, counts.not_needed) == (5 * 1 + 5 * 8, 5 * 7)
        again = run_here(context, [guess])
        assert (again.drawn, again.reused, again.not_needed) == (0, 45, 35)
    hits = context.lake.rows("select problem_id, count(*) n from samples where status = 'correct' group by 1")
    assert len(hits) == 5


def test_infrastructure_errors_are_no_guesses(endpoint_context: Callable[..., Context]) -> None:
    """A guess that the endpoint never answers is asked again, then left out; the next run asks it once more."""
    down = True
    guess = sampling_pass(
        problem_table(8, start=0), purpose="guess", format="guess", samples=3, stop_at_first_correct=True
    )

    def faults(key: str, attempt: int) -> str | None:
        return "503" if down and int(key[:2], 16) % 5 == 0 else None

    with Gateway(upstream=always("\\boxed{7}"), faults=faults) as gateway:
        context = endpoint_context(gateway.url, inference__endpoint_retries=0)
        with pytest.raises(UserError, match=r"samples got no answer: http_503"):
            draw(context, [guess])
        missing = [key for key, tries in gateway.tries.items() if tries == 2]
        stored = sample_ids(context)
        assert missing
        assert len(stored) == 24 - len(missing)
        assert not set(missing) & set(stored)
        assert not context.lake.rows("select * from samples where status = 'infrastructure_error'")
        down = False
        counts = draw(context, [guess])
        assert (counts.drawn, counts.reused) == (len(missing), len(stored))
    assert set(gateway.bills.values()) == {1}


def test_a_prompt_that_is_too_long_is_excluded_for_good(endpoint_context: Callable[..., Context]) -> None:
    problems = problem_table(10)
    long = {request.sample_id for request in first_requests(sampling_pass(problems), "p3")}
    with Gateway(faults=lambda key, attempt: "too_long" if key in long else None) as gateway:
        context = endpoint_context(gateway.url)
        counts = run_here(context, [sampling_pass(problems)])
        assert (counts.drawn, counts.excluded, counts.errors) == (40, 4, {})
        assert run_here(context, [sampling_pass(problems)]).reused == 40
    rows = context.lake.rows("select * from samples where problem_id = 'p3'")
    verdicts = {(row["status"], row["status_reason"], row["reward"]) for row in rows}
    assert verdicts == {("infrastructure_error", "prompt_too_long", None)}


def test_all_faults_through_the_whole_job(endpoint_context: Callable[..., Context]) -> None:
    with Gateway(
        upstream=always("\\boxed{0}"), faults=by_turns("429", "drop_before", "drop_after", "double", "cut", None)
    ) as gateway:
        context = endpoint_context(gateway.url, inference__price_per_million_tokens=1000)
        counts = draw(context, [sampling_pass(problem_table(50))])
    assert (counts.drawn, counts.errors) == (200, {})
    assert len(set(sample_ids(context))) == len(sample_ids(context)) == 200
    assert gateway.bills == dict.fromkeys(sample_ids(context), 1)
    assert counts.cost == pytest.approx(200 * 7 * 1000 / 1e6)


def test_kill_9_in_the_middle_then_again(endpoint_context: Callable[..., Context]) -> None:
    with Gateway(upstream=always("\\boxed{0}"), seconds=0.02) as gateway:
        context = endpoint_context(gateway.url, limits__commit_samples=25, inference__endpoint_concurrency=4)
        passes = [sampling_pass(problem_table(150))]
        path = write_spec(context.home.jobs, JOB, build_spec(context, passes))
        job = subprocess.Popen(command(JOB, path, 1))
        deadline = time.monotonic() + 60
        while len(sample_ids(context)) < 100:
            assert job.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        committed = context.lake.read(tables.SAMPLES)
        assert 100 <= committed.num_rows < 600
        counts = draw(context, passes)
    assert (counts.reused, counts.drawn) == (committed.num_rows, 600 - committed.num_rows)
    assert len(set(sample_ids(context))) == len(sample_ids(context)) == 600
    kept = set(committed.column("sample_id").to_pylist())
    assert all(gateway.tries[sample_id] == 1 for sample_id in kept)  # what was committed is never asked again
    assert set(gateway.bills.values()) == {1}  # and what was lost on the way is not paid again
    lost = sum(gateway.tries.values()) - 600
    assert lost <= 25 + 4  # at most a buffer and what was in flight


def test_two_runs_at_once_draw_a_sample_once(endpoint_context: Callable[..., Context]) -> None:
    results: list[Counts] = []
    with Gateway(seconds=0.01) as gateway:
        context = endpoint_context(gateway.url)
        jobs = [
            threading.Thread(target=lambda: results.append(draw(context, [sampling_pass(problem_table(20))])))
            for _ in range(2)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    assert sorted((counts.drawn, counts.reused) for counts in results) == [(0, 80), (80, 0)]
    assert len(sample_ids(context)) == 80


def test_user_errors_of_the_job_reach_the_caller(endpoint_context: Callable[..., Context]) -> None:
    context = endpoint_context("http://127.0.0.1:9/v1", inference__endpoint_retries=0)
    with pytest.raises(UserError, match="does not answer"):
        draw(context, [sampling_pass(problem_table(3))])
    assert sample_ids(context) == []


def test_the_job_needs_no_engine(endpoint_context: Callable[..., Context]) -> None:
    """With the endpoint carrier neither torch nor vLLM nor transformers is imported."""
    with Gateway() as gateway:
        spec = build_spec(endpoint_context(gateway.url), [sampling_pass(problem_table(2))])
        code = (
            "import json, sys\n"
            "from kimi_pipeline.inference.sampling_job import run\n"
            "from kimi_pipeline.jobs import Report\n"
            "import kimi_pipeline.inference.vllm_carrier\n"
            "print(run(json.loads(sys.stdin.read()), Report('test'))['drawn'])\n"
            "print(sorted({'torch', 'vllm', 'transformers', 'dagster'} & set(sys.modules)))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], input=json.dumps(spec), capture_output=True, text=True, check=True
        )
    assert done.stdout.split("\n")[:2] == ["8", "[]"]


def test_the_counts_add_up_in_the_result_file(endpoint_context: Callable[..., Context]) -> None:
    with Gateway() as gateway:
        context = endpoint_context(gateway.url)
        path = write_spec(context.home.jobs, JOB, build_spec(context, [sampling_pass(problem_table(2))]))
        subprocess.run(command(JOB, path, 1), check=True)
    assert Counts(**read_result(path)).drawn == 8


def test_passes_that_ask_for_the_same_samples_are_a_defect(endpoint_context: Callable[..., Context]) -> None:
    context = endpoint_context("http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="merge"):
        run_here(context, [sampling_pass(problem_table(2)), sampling_pass(problem_table(3), samples=2)])
    with pytest.raises(ValueError, match="unknown purpose"):
        sampling_pass(problem_table(1), purpose="fun")


def test_an_endpoints_samples_are_stored_under_its_model(endpoint_context: Callable[..., Context]) -> None:
    one = endpoint_context("http://one/v1").profile.inference
    assert endpoint_checkpoint(one) == endpoint_checkpoint(endpoint_context("http://two/v1").profile.inference)
    assert endpoint_checkpoint(one) != endpoint_checkpoint(one.model_copy(update={"endpoint_model": "n"}))
