"""Evaluability on rows labelled by construction (data/evaluability.jsonl) and on real corpora."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline.bench.evaluability import caught, classes, doubtful_verdicts
from kimi_pipeline.bench.poison import BOMBS
from kimi_pipeline.bench.real_rows import read
from kimi_pipeline.curation.evaluability import COLUMNS, evaluate, evaluate_shard, verifiable
from kimi_pipeline.problems import ANSWER_KINDS, MANY_ANSWERS
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.bounded import surely_small
from kimi_pipeline.stages import Context
from tests.curation.test_tagging import run

LABELLED = Path(__file__).parent / "data" / "evaluability.jsonl"


def test_precision_and_recall_of_each_class() -> None:
    rows = read(LABELLED)
    assert len(rows) >= 300
    found = classes(rows)
    assert set(found) >= {"evaluable", "multiple_choice", "true_false", "proof", "multi_part", "open_ended"}
    assert {"missing_figure", "unverifiable_answer"} <= set(found)
    for label, figures in found.items():
        assert figures["precision"] >= 0.93, label
        assert figures["recall"] >= (0.89 if label == "unverifiable_answer" else 0.96), label


def test_evidence_points_into_the_prompt() -> None:
    for row in read(LABELLED):
        reason, where = evaluate(row["prompt"], row["answer"])
        assert bool(where) == (reason is not Reason.EVALUABLE)
        if where.startswith("prompt:"):
            start, end = map(int, where.removeprefix("prompt:").split("-"))
            assert 0 <= start < end <= len(row["prompt"])


def test_programs_and_pictures() -> None:
    assert evaluate("Print YES or NO.", "", judged=True) == (Reason.EVALUABLE, "")
    assert evaluate("In the figure, find x.", "3")[0] is Reason.MISSING_FIGURE
    assert evaluate("In the figure, find x.", "3", pictured=True)[0] is Reason.EVALUABLE


def test_every_kind_with_many_right_answers_is_left_to_its_judge() -> None:
    rows = f"""
        select {COLUMNS}, answer_kind from (
            select '' problem_id, '' prompt, '' answer, [] as options, [] as images, [] as submissions,
                   unnest({list(ANSWER_KINDS)}) as answer_kind)
    """
    judged = {row[-1] for row in duckdb.sql(rows).fetchall() if row[-2]}
    assert judged == set(MANY_ANSWERS)


def seen(prompt: str, answer: str) -> tuple[Reason, str]:
    """The reason, and the words of the prompt that it rests on."""
    reason, where = evaluate(prompt, answer)
    start, end = map(int, where.removeprefix("prompt:").split("-"))
    return reason, prompt[start:end].strip(" .:")


def test_a_drawing_stands_for_the_figure_and_says_nothing() -> None:
    assert evaluate("[asy] draw(a); [/asy] In the figure, find x.", "3") == (Reason.EVALUABLE, "")
    assert evaluate('[asy] label("Prove that"); [/asy] Find x.', "3") == (Reason.EVALUABLE, "")
    assert seen("[asy] draw(a); [/asy] Prove that x = 3.", "3") == (Reason.PROOF, "Prove that")


def test_capitals_count_beside_a_letter_whose_lower_case_is_longer() -> None:
    assert seen("\u0130pek asks: PROVE THAT x = 3.", "3") == (Reason.PROOF, "PROVE THAT")


def test_a_row_without_an_answer_or_with_options_as_a_field() -> None:
    columns = {"problem_id": ["a", "b"], "prompt": ["What is 1 + 1?"] * 2, "answer": [None, "2"]}
    rows = pa.table(columns | {"options": [None, ["1", "2"]], "pictured": [False] * 2, "judged": [False] * 2})
    found = {row["problem_id"]: row["reason_code"] for row in evaluate_shard(rows).to_pylist()}
    assert found == {"a": Reason.UNVERIFIABLE_ANSWER, "b": Reason.MULTIPLE_CHOICE}


@pytest.mark.parametrize("answer", ["5", "\\frac{1}{2}", "\\{1, 2\\}", "x^2 + 1", "三", "(1, 2]", "\\infty", "\\$5"])
def test_a_usual_answer_verifies_against_itself(answer: str) -> None:
    assert verifiable(answer)


@pytest.mark.parametrize("answer", ["{3", "3}", "\\boxed{", "...", "$$", " "])
def test_a_broken_answer_does_not(answer: str) -> None:
    assert not verifiable(answer)


@settings(max_examples=200)
@given(st.text(max_size=200), st.text(max_size=30))
def test_any_text_gets_a_verdict_inside_it(prompt: str, answer: str) -> None:
    """Also where lower case is longer than the text (as of the Turkish capital I with a dot)."""
    _, where = evaluate("\u0130 " + prompt, answer)
    if where.startswith("prompt:"):
        start, end = map(int, where.removeprefix("prompt:").split("-"))
        assert 0 <= start < end <= len(prompt) + 2


def test_built_in_problems_are_evaluable(make_context: Callable[..., Context]) -> None:
    context = make_context(corpora__problems_per_family=40, corpora__evaluation_problems=20)
    run(context, "evaluability")
    refused = context.lake.rows(
        "select reason_code, planted, prompt from evaluability join problems using (problem_id) "
        "where verdict = 'refuse' and planted is distinct from reason_code"
    )
    assert refused == []


def test_aqua_is_multiple_choice(shared_data: Path) -> None:
    assert min(caught(read(shared_data / "aqua_test.jsonl")).values()) >= 0.99


@pytest.mark.parametrize(("name", "prompt"), [("gsm8k_train", "question"), ("math_train", "problem")])
def test_few_real_problems_are_refused_falsely(shared_data: Path, name: str, prompt: str) -> None:
    rows = read(shared_data / f"{name}.jsonl")
    assert len(doubtful_verdicts(rows, prompt, "answer")) / len(rows) <= 0.005


def test_a_reference_that_exceeds_the_verifiers_limits_goes_and_no_other_starts_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    question = "What is the number of ways?"
    small = ["12", "\\frac{3\\sqrt{2}}{4}", "x^2-4x+3", "[-2,7)", "(x+1)^{2}(x-3)", "Monday", "120^\\circ", "2^{n}"]
    with monkeypatch.context() as without:
        without.setattr("kimi_pipeline.curation.evaluability.shared_verifier", lambda: pytest.fail("asked a worker"))
        assert [evaluate(question, one)[0] for one in small] == [Reason.EVALUABLE] * len(small)
        for bomb in BOMBS.values():  # none of them is taken for small
            assert not surely_small(bomb(0))
    assert evaluate(question, "9^{9^{9^{9}}}") == (Reason.COSTLY_REFERENCE, "answer")
    assert evaluate(question, "2^{100}-2") == (Reason.EVALUABLE, "")


def test_workers_that_fail_say_nothing_of_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Failing:
        def checkable(self, reference: str) -> str:
            asked.append(reference)
            return "worker_failed"

    monkeypatch.setattr("kimi_pipeline.curation.evaluability.shared_verifier", Failing)
    with pytest.raises(RuntimeError, match="workers fail"):
        evaluate("What is the number of ways?", "9^{9^{9}}")
    assert len(asked) == 3
