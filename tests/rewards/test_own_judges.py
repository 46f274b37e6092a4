"""Kinds of answer with a judge of their own: reasoning-gym's scorers, from a source to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.curation.evaluability import evaluate
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.serving import reward_for
from kimi_pipeline.stages import Context, run_stage
from tests.conftest import require

SOURCE = """
[[source]]
name = "gym"
kind = "reasoning_gym"
tasks = ["palindrome_generation"]
size = 2
"""


@pytest.fixture
def gym(make_context: Callable[..., Context], tmp_path: Path) -> Context:
    require("reasoning_gym")
    declared = tmp_path / "gym.toml"
    declared.write_text(SOURCE)
    context = make_context(corpora__sources=[str(declared)])
    run_stage(CORPUS, context, {})
    return context


def test_a_problem_with_many_right_answers_is_judged_by_its_own_task(gym: Context) -> None:
    first, second = gym.lake.rows("select problem_id, prompt, answer, answer_kind from problems order by source_row")
    assert first["answer_kind"] == second["answer_kind"] == "scored"
    assert evaluate(first["prompt"], first["answer"], judged=True)[0] is Reason.EVALUABLE
    answer = first["answer"]
    half = answer[: len(answer) // 2]
    other = half[::-1] + answer[len(half) : len(answer) - len(half)] + half  # another palindrome of the same letters
    assert other != answer
    reference = Reference(first["problem_id"], answer, "scored")
    sum_of_two = Reference("plain", "4", "integer")
    with reward_for(gym.profile, gym.lake, [reference, sum_of_two]) as reward:
        answers = [answer, other, second["answer"], "abc"]
        found = reward.score(reference, [Response(f"\\boxed{{{text}}}", 5) for text in answers])
        assert [one.status for one in found] == [Status.CORRECT, Status.CORRECT, Status.WRONG, Status.WRONG]
        assert [one.evidence[0].part for one in found] == ["scored"] * 4
        (plain,) = reward.score(sum_of_two, [Response("\\boxed{4}", 5)])
        assert plain.status is Status.CORRECT
