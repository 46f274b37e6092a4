"""Explain over many versions: texts of sets are read where nothing else has them, and the same story is told each time."""

from __future__ import annotations

from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.curation import finding
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.lake_reader import Reading

RUN: dict[str, Any] = {"run_id": "r", "reason": "r"}
HERE, GONE, ERASED, ALIKE = "a" * 32, "b" * 32, "c" * 32, "b" * 6 + "d" * 26


@pytest.fixture
def lake(home: Home) -> Lake:
    """A problem of the corpus and three that only versions of a set hold, the text of one erased."""
    lake = Lake(home.lake)
    row: dict[str, Any] = {
        "problem_id": HERE,
        "source": "s",
        "prompt": "as it stands",
        "answer": "1",
        "answer_kind": "integer",
    }
    row |= {"source_row": "0", "licence": "MIT", "language": "en", "labels": [], "options": []}
    lake.append(tables.PROBLEMS, [row], **RUN)
    lake.append(tables.ERASURES, [dict.fromkeys(tables.ERASURES.names[:-2], "x") | {"problem_id": ERASED}], **RUN)
    for version in (1, 2, 3):
        members = {HERE: "then", GONE: "then", ERASED: None} | ({ALIKE: "then"} if version < 3 else {})
        rows = [
            {
                "prompt_set": "set",
                "version": version,
                "problem_id": one,
                "prompt": text and f"{text} {version}",
                "answer": text and str(version),
                "answer_kind": "integer",
            }
            for one, text in members.items()
        ]
        lake.append(tables.PROMPT_SET, rows, **RUN)
    return lake


def told(lake: Lake, query: str) -> tuple[Any, ...]:
    story = explain(lake, query)
    return story["problem_id"], story["prompt"], story["answer"], [one.split("@")[1] for one in story["sets"]]


def test_who_is_gone_is_told_as_the_last_version_has_it(lake: Lake) -> None:
    assert told(lake, HERE) == told(lake, HERE[:4]) == (HERE, "as it stands", "1", ["1", "2", "3"])
    assert told(lake, GONE) == told(lake, GONE[:8]) == (GONE, "then 3", "3", ["1", "2", "3"])
    assert told(lake, ALIKE) == told(lake, ALIKE[:8]) == (ALIKE, "then 2", "2", ["1", "2"])
    assert told(lake, ERASED) == told(lake, ERASED[:4]) == (ERASED, "(erased)", "(erased)", ["1", "2", "3"])
    with pytest.raises(UserError, match=f"several problems: {GONE[:12]} 'then [123]'; {ALIKE[:12]} 'then [12]'"):
        explain(lake, GONE[:6])
    with pytest.raises(UserError, match="no problem matches"):
        explain(lake, GONE[:3])


def test_no_text_of_a_version_is_read_for_a_problem_of_the_corpus(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version has it anew: with a hundred that takes longer than all else."""
    asked: list[str] = []
    rows = Reading.rows

    def noted(self: Reading, query: str, *rest: Any) -> list[dict[str, Any]]:
        asked.append(query)
        return rows(self, query, *rest)

    monkeypatch.setattr(Reading, "rows", noted)
    for query in (HERE, HERE[:4], "as it st"):
        explain(lake, query)
    of_sets = [query.replace("prompt_set", "") for query in asked if "from prompt_set" in query]
    assert of_sets and not any("prompt" in query for query in of_sets)
    asked.clear()
    assert finding.find(lake, GONE) == GONE
    explain(lake, GONE)
    (with_text,) = [query for query in asked if "prompt," in query and "from prompt_set" in query]
    assert "version = ?" in with_text


def test_answers_to_several_checkpoints_come_in_the_order_in_which_they_were_drawn(lake: Lake) -> None:
    for checkpoint in ("second", "first", "third", "fourth", "fifth"):
        row: dict[str, Any] = {
            "sample_id": checkpoint,
            "problem_id": HERE,
            "purpose": "difficulty",
            "checkpoint": checkpoint,
        }
        row |= {"template": "t", "sample_index": 0, "status": "wrong", "text": checkpoint}
        lake.append(tables.SAMPLES, [row], **RUN)
    assert [one["text"] for one in explain(lake, HERE)["answers"]] == ["second", "first", "third"]
