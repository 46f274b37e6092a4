from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.builtin import EVALUATION_SET
from kimi_pipeline.corpora.evaluation_sets import EVALUATION_PROBLEMS, evaluation_set_names
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.errors import UserError
from kimi_pipeline.stages import Context, Outcome, run_stage

SMALL = {"corpora__problems_per_family": 60, "corpora__evaluation_problems": 90}


def jsonl(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def write(context: Context) -> Outcome:
    run_stage(CORPUS, context, {})
    return run_stage(EVALUATION_PROBLEMS, context, {"corpus": CORPUS})


def test_built_in_problems_are_held_out(make_context: Callable[..., Context]) -> None:
    outcome = write(make_context(**SMALL))
    assert outcome.figures == {"problems": 90, "overlap_with_corpus": 0, "sets": 1, "quarantined": 0}


def test_each_set_stands_under_its_own_name(make_context: Callable[..., Context], tmp_path: Path) -> None:
    one = jsonl(
        tmp_path / "one.jsonl",
        {"problem": "What is 1 + 1?", "answer": "2"},
        {"problem": "What  is 1 + 1?", "answer": "2"},  # the same problem
        {"problem": "What is left?", "answer": None},
        {"problem": None, "answer": "5"},
    )
    two = jsonl(tmp_path / "two.jsonl", {"question": "What is 2 + 2?", "answer": "#### 4"})
    context = make_context(corpora__evaluation_sets=[one, two], **SMALL)
    outcome = write(context)
    assert evaluation_set_names(context) == [EVALUATION_SET, "one", "two"]
    assert outcome.outputs["sets"] == {EVALUATION_SET: 90, "one": 2, "two": 1}
    assert outcome.figures["quarantined"] == 1
    found = context.lake.rows(
        "select prompt, answer, answer_kind from evaluation_problems where evaluation_set <> ? order by prompt",
        [EVALUATION_SET],
    )
    assert [tuple(row.values()) for row in found] == [
        ("What is 1 + 1?", "2", "integer"),
        ("What is 2 + 2?", "4", "integer"),
        ("What is left?", "", "none"),  # its prompt must stay out of every set all the same
    ]
    assert context.lake.rows("select source, source_row, reason_code from quarantine where source like 'eval%'") == [
        {"source": "evaluation:one", "source_row": "4", "reason_code": "missing_prompt"}
    ]
    assert write(context).cached
    jsonl(tmp_path / "two.jsonl", {"question": "What is 2 + 3?", "answer": "5"})
    assert not write(context).cached


def test_an_unfit_set_is_refused_before_anything_is_written(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    good = jsonl(tmp_path / "good.jsonl", {"question": "What is 2 + 2?", "answer": "4"})
    for name, rows, words in (
        ("empty.jsonl", [], "no readable row"),
        ("blank.jsonl", [{"question": " ", "answer": "1"}], "blank holds no problem"),
        (f"{EVALUATION_SET}.jsonl", [{"question": "What?", "answer": "1"}], "taken by the built-in problems"),
    ):
        context = make_context(corpora__evaluation_sets=[good, jsonl(tmp_path / name, *rows)], **SMALL)
        run_stage(CORPUS, context, {})
        with pytest.raises(UserError, match=words):
            run_stage(EVALUATION_PROBLEMS, context, {"corpus": CORPUS})
        assert not context.lake.exists(tables.EVALUATION_PROBLEMS)


def test_public_sets_are_read_whole(make_context: Callable[..., Context], shared_data: Path) -> None:
    entries = [str(shared_data / f"{name}.jsonl") for name in ("math500", "aime_2024", "gsm8k_test")]
    outcome = write(make_context(corpora__evaluation_sets=entries, **SMALL))
    assert outcome.outputs["sets"] == {EVALUATION_SET: 90, "math500": 500, "aime_2024": 30, "gsm8k_test": 1319}
    assert outcome.figures["quarantined"] == 0
