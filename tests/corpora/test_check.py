"""`kimi-pipeline sources check`: the guess, the entry it writes, and that nothing enters the lake."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from kimi_pipeline.cli import main
from kimi_pipeline.corpora.sources import load_sources


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["sources", "check", *arguments], env={"KIMI_HOME": str(home)})


@pytest.mark.parametrize(
    ("name", "mapping", "kinds"),
    [
        ("gsm8k_train", {"prompt": "question", "answer": "answer"}, {"integer"}),
        (
            "math_train",
            {"prompt": "problem", "answer": "answer", "labels": ["difficulty", "type"]},
            {"integer", "rational"},
        ),
        ("aime_1983_2023", {"prompt": "problem", "answer": "answer", "labels": ["year", "difficulty"]}, {"integer"}),
        ("aqua_test", {"prompt": "question", "answer": "correct", "options": "options"}, {"text"}),
        ("math500", {"prompt": "problem", "answer": "answer", "id": "unique_id", "labels": ["difficulty"]}, {"matrix"}),
        ("code_contests_test", {"prompt": "problem"}, {"none"}),
    ],
)
def test_real_corpora_are_guessed(
    shared_data: Path, tmp_path: Path, name: str, mapping: dict[str, object], kinds: set[str]
) -> None:
    result = run(tmp_path, str(shared_data / f"{name}.jsonl"), "--limit", "500", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert {field: column for field, column in report["mapping"].items() if column} == mapping
    assert set(report["answer_kinds"]) >= kinds
    assert report["problems"] + sum(report["quarantined"].values()) == report["read"]
    assert len(report["rows"]) == 5


def test_the_entry_reads_the_file_as_it_was_shown(tmp_path: Path) -> None:
    file = tmp_path / "nested.jsonl"
    rows = [
        {
            "uuid": f"u{k}",
            "messages": [{"role": "user", "content": f"What is {k} + 1?"}],
            "reward": {"ground_truth": k + 1},
        }
        for k in range(10)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    looked = run(tmp_path / "home", str(file), "--licence", "MIT")
    assert looked.exit_code == 0, looked.output
    assert "[[source]]" in looked.output
    assert [path.name for path in tmp_path.glob("*.*")] == ["nested.jsonl"]  # a look writes nothing
    kept = tmp_path / "entries"
    kept.mkdir()
    result = run(tmp_path / "home", str(file), "--licence", "MIT", "--write", str(kept), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["written"] == str(kept / "nested.toml")
    assert (report["problems"], report["quarantined"]) == (10, {"invalid_json": 1})
    (source,) = load_sources([report["written"]])
    assert (source.fields.prompt, source.fields.answer, source.fields.id) == (
        "messages.0.content",
        "reward.ground_truth",
        "uuid",
    )
    assert (source.licence, source.path) == ("MIT", str(file))
    assert not list((tmp_path / "home").rglob("*.parquet"))  # nothing entered the lake
    again = run(tmp_path / "home", str(file), "--write", str(kept))
    assert again.exit_code == 2
    assert "exists" in again.output


def test_an_index_that_a_data_frame_left_is_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "strange.parquet"
    rows = [
        {
            "Unnamed: 0": k,
            "Problem Statement (EN)": f"What is {k} squared?",
            "gold": {"value": str(k * k), "unit": None},
        }
        for k in range(20)
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)
    report = json.loads(run(tmp_path / "home", str(file), "--json").output)
    assert report["mapping"]["answer"] == "gold.value"
    pq.write_table(pa.Table.from_pylist(rows).drop_columns(["gold"]), file)
    report = json.loads(run(tmp_path / "home", str(file), "--json").output)
    assert not report["mapping"].get("answer")
