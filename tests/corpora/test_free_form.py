"""Multiple choice turned into free form: which questions can stand alone, and the source that holds them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_pipeline.corpora.free_form import NotRewritten, free_form
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.curation.evaluability import evaluate
from kimi_pipeline.problems import problem_id
from kimi_pipeline.stages import Context, run_stage

FIVE = ["A)300", "B)310", "C)320", "D)330", "E)None of these"]


@pytest.mark.parametrize(
    ("prompt", "options", "answer", "expected"),
    [
        ("What did it cost at Rs.360?", FIVE, "A", ("What did it cost at Rs.360?", "300")),
        ("How far is it?", ["A)3 km", "B)4 km", "C)5 km"], "(B)", ("How far is it?", "4 km")),
        ("The ratio $a/b$ is:", ["(A) $\\frac12$", "(B) $\\frac13$", "(C) 2"], "B", ("The ratio $a/b$ is:", "$\\frac13$")),
        ("Find $x$.\n$\\textbf{(A) } 25 \\qquad \\textbf{(B) } 50 \\qquad\\textbf{(C) } 7$", [], "25", ("Find $x$.", "25")),
        ("What is 2 + 2? (A) 3 (B) 4 (C) 5", [], "B", ("What is 2 + 2?", "4")),
        ("What is the area [asy] draw((A)--(B)--(C)); [/asy] of it?", [], "3", "no_options"),
        ("Which of the following is a multiple of 9?", FIVE, "A", "stem_needs_options"),
        ("How many can vote? About how many, approximately?", FIVE, "A", "stem_needs_options"),
        ("The integer $n$ is even. Then $n + 2$ could be", FIVE, "B", "stem_needs_options"),
        ("下列哪个数是质数?", ["A、4", "B、5", "C、6"], "B", "stem_needs_options"),
        ("What did it cost?", ["A)3", "B)3", "C)4"], "A", "answer_is_no_option"),
        ("What did it cost?", FIVE, "7", "answer_is_no_option"),
        ("What did it cost?", FIVE, "E", "option_is_no_value"),
        ("What are the values of $x$?", ["A) x > 3", "B) x < 3", "C) x = 3"], "A", "option_is_no_value"),
        ("What is the diameter?", ["A)15.8113", "B)16.1", "C)17"], "A", "option_is_rounded"),
        ("What is it to the nearest tenth?", ["A)15.8", "B)16.1", "C)17"], "A", ("What is it to the nearest tenth?", "15.8")),
    ],
)  # fmt: skip
def test_a_question_stands_alone_or_says_why_not(
    prompt: str, options: list[str], answer: str, expected: tuple[str, str] | str
) -> None:
    found = free_form(prompt, options, answer)
    if isinstance(expected, str):
        assert isinstance(found, NotRewritten)
        assert found.reason == expected
        assert found.detail
    else:
        assert found == expected
        assert evaluate(*expected)[0] == "evaluable"


def test_a_source_of_rewritten_rows_names_their_origins(make_context: Callable[..., Context], tmp_path: Path) -> None:
    rows = [
        {"question": "What is 20 + 80?", "options": ["A) 90", "B) 100", "C) 110"], "answer": "B"},
        {"question": "Which of these is prime?", "options": ["A) 4", "B) 5", "C) 6"], "answer": "B"},
        {"question": "What is 1 + 1?", "options": None, "answer": "2"},
    ]
    (tmp_path / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    declared = '[[source]]\nname = "{}"\nkind = "jsonl"\npath = "choices.jsonl"\n{}[source.fields]\n'
    fields = 'prompt = "question"\nanswer = "answer"\noptions = "options"\n'
    entries = [("plain", ""), ("free", 'rewrite = "free_form"\n')]
    (tmp_path / "s.toml").write_text("\n".join(declared.format(*entry) + fields for entry in entries))
    context = make_context(corpora__sources=[str(tmp_path / "s.toml")])
    figures = run_stage(CORPUS, context, {}).figures
    assert (figures["rows"], figures["problems"], figures["quarantined"]) == (6, 4, 2)
    (made,) = context.lake.rows(
        "select source_row, prompt, answer, answer_kind, len(options) options, labels['rewritten_from'] as origin, "
        "labels['rewrite'] as rule from problems where source = 'free'"
    )
    assert made == {
        "source_row": "1",
        "prompt": rows[0]["question"],
        "answer": "100",
        "answer_kind": "integer",
        "options": 0,
        "origin": problem_id(str(rows[0]["question"]), (), tuple(rows[0]["options"] or ())),
        "rule": "free_form@1",
    }
    assert context.lake.rows("select source, source_row, reason_code from quarantine order by 2") == [
        {"source": "free", "source_row": "2", "reason_code": "stem_needs_options"},
        {"source": "free", "source_row": "3", "reason_code": "no_options"},
    ]
