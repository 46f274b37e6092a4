"""Evaluation: what is counted is what this run's seed drew."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.builtin import EVALUATION_SET
from kimi_pipeline.evaluation import stage as evaluation
from kimi_pipeline.inference.drawing import Counts
from kimi_pipeline.inference.plans import Ask, AskedProblem
from kimi_pipeline.inference.request import Completion, Sampling
from kimi_pipeline.inference.store import sample_row
from kimi_pipeline.rewards.contract import Breakdown, Reference, Status
from kimi_pipeline.stages import Context, Outcome

PROBLEMS = [
    {"evaluation_set": EVALUATION_SET, "problem_id": f"p{n}", "prompt": "q", "answer": "1", "answer_kind": "integer"}
    for n in range(4)
]
CHECKPOINTS = ("base", "sft", "rl")


def drawn(context: Context, seed: int, status: Status) -> None:
    """What a run of this seed leaves in the lake, all of one verdict."""
    profile, rows = context.profile, []
    for temperature in evaluation.TEMPERATURES:
        for name in CHECKPOINTS:
            sampling = Sampling(temperature, profile.evaluation.max_tokens)
            samples = profile.evaluation.samples if temperature else 1
            ask = Ask("evaluation", name, profile.curation.template, "reasoning", sampling, samples, seed)
            for one in PROBLEMS:
                problem = AskedProblem(one["problem_id"], "q", Reference(one["problem_id"], "1", "integer"))
                for index in range(samples):
                    completion = Completion(ask.request(problem, index), "1", "stop", 1, 9)
                    rows.append(sample_row(completion, Breakdown(status, float(status is Status.CORRECT)), "vllm"))
    context.lake.append(tables.SAMPLES, rows, run_id=context.run_id, reason="test")


def test_samples_of_another_seed_are_not_counted(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "draw", lambda *_: Counts())
    monkeypatch.setattr(
        evaluation,
        "require_outcome",
        lambda stage, _: Outcome("v", outputs={"digest": stage.name.partition("_")[0], "folder": "f"}),
    )
    contexts = {seed: make_context(seed=seed, evaluation__samples=3) for seed in (0, 1)}
    contexts[0].lake.upsert(tables.EVALUATION_PROBLEMS, PROBLEMS, run_id="r", reason="test")
    drawn(contexts[0], 0, Status.CORRECT)
    drawn(contexts[1], 1, Status.WRONG)
    for seed, right in ((0, 1.0), (1, 0.0), (0, 1.0)):
        rows = evaluation.evaluate(contexts[seed]).preview
        assert {(row["stage"], row["temperature"]) for row in rows} == {
            (name, temperature) for name in CHECKPOINTS for temperature in evaluation.TEMPERATURES
        }
        assert all(row["pass_at_1"] == right for row in rows)
        assert {row["temperature"]: row["n"] for row in rows} == {1.0: 12, 0.0: 4}
    stored = contexts[0].lake.read(tables.RESULTS).to_pylist()
    assert {(row["seed"], row["pass_at_1"]) for row in stored} == {(0, 1.0), (1, 0.0)}
