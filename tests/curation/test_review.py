"""Review: what waits for a person, decisions by CSV, and that a decision is never lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline import tables
from kimi_pipeline.cli import main
from kimi_pipeline.curation.review import Ask, Decided, ask, decide, decided_digest, decisions, waiting, withdraw
from kimi_pipeline.curation.review_csv import _bare, _shielded, export, load
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import Problem
from kimi_pipeline.reasons import Reason


@pytest.fixture
def lake(home: Home) -> Lake:
    lake = Lake(home.lake)
    problems = [Problem("s", str(n), text, "4", "integer") for n, text in enumerate(("What is 2 + 2?", "=1+1, 几何?"))]
    lake.append(tables.PROBLEMS, [p.row() for p in problems], run_id="r", reason="test")
    return lake


def ids(lake: Lake) -> list[str]:
    return [row["problem_id"] for row in lake.rows("select problem_id from problems order by source_row")]


def tag(problem_id: str, proposed: str = "mathematics/other") -> Ask:
    return Ask(problem_id, "tag", "problem_tags", Reason.LOW_CONFIDENCE, proposed, {"confidence": 0.31})


def filled(path: Path, **values: str) -> list[dict[str, str]]:
    """The export with the same values in every row."""
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
    return [row | values for row in rows]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_asking_twice_asks_once_and_a_decision_stays(lake: Lake) -> None:
    one, two = ids(lake)
    assert ask(lake, [tag(one), tag(two)], run_id="r") == 2
    assert ask(lake, [tag(one), tag(two)], run_id="r") == 0
    assert ask(lake, [tag(one, "mathematics/algebra")], run_id="r") == 1
    assert {row["problem_id"]: row["proposed"] for row in waiting(lake, "tag")} == {
        one: "mathematics/algebra",
        two: "mathematics/other",
    }
    before = decided_digest(decisions(lake, "tag").values())
    assert decide(lake, [Decided(one, "tag", "mathematics/arithmetic", "ann", "it adds")], run_id="r") == 1
    assert decide(lake, [Decided(one, "tag", "mathematics/arithmetic", "ann", "it adds")], run_id="r") == 0
    assert decided_digest(decisions(lake, "tag").values()) != before
    assert ask(lake, [tag(one, "mathematics/geometry")], run_id="r") == 0  # decided: not asked again
    assert withdraw(lake, "tag", [one, two], run_id="r") == 1
    assert waiting(lake) == []
    found = decisions(lake, "tag")
    assert [(d.decision, d.by, d.reason) for d in found.values()] == [("mathematics/arithmetic", "ann", "it adds")]
    decide(lake, [Decided(one, "tag", "mathematics/algebra", "bob")], run_id="r")  # a change of mind, both readable
    assert decisions(lake, "tag")[one].decision == "mathematics/algebra"
    stored = lake.read(tables.REVIEW, where=[("state", "=", "decided")]).to_pylist()
    assert {row["decided_by"] for row in stored} == {"ann", "bob"}


def test_two_questions_on_one_problem_are_apart(lake: Lake) -> None:
    one, _ = ids(lake)
    ask(lake, [tag(one), Ask(one, "suspect_reference", "difficulty", Reason.UNASKED, "answer=5")], run_id="r")
    decide(lake, [Decided(one, "suspect_reference", "answer=5", "ann")], run_id="r")
    assert [row["question"] for row in waiting(lake)] == ["tag"]
    with pytest.raises(ValueError, match="unknown question"):
        Ask(one, "colour", "", Reason.UNASKED)
    with pytest.raises(ValueError, match="answer=THE RIGHT ANSWER"):
        decide(lake, [Decided(one, "suspect_reference", "5", "ann")], run_id="r")


def test_out_and_in_by_csv(lake: Lake, tmp_path: Path) -> None:
    one, two = ids(lake)
    ask(lake, [tag(one), tag(two)], run_id="r")
    path = tmp_path / "review.csv"
    assert export(lake, path) == 2
    rows = filled(path, decision="mathematics/geometry", decided_by="ann", reason="=SUM(1)")
    assert {row["prompt"] for row in rows} == {"What is 2 + 2?", "'=1+1, 几何?"}  # no formula for a spreadsheet
    rows[0]["decision"] = ""
    assert load(lake, write(path, rows), run_id="r") == {"decided": 1, "changed": 1, "still_waiting": 1}
    assert len(waiting(lake)) == 1
    assert export(lake, path) == 1
    assert export(lake, path, everything=True) == 2


def test_one_bad_row_and_nothing_is_imported(lake: Lake, tmp_path: Path) -> None:
    one, two = ids(lake)
    ask(lake, [tag(one), tag(two)], run_id="r")
    path = tmp_path / "review.csv"
    export(lake, path)
    good = filled(path, decision="mathematics/geometry", decided_by="ann")
    bad: list[tuple[dict[str, str], str]] = [
        ({"decision": "mathematics/alchemy"}, ":4: decision 'mathematics/alchemy' is no tag"),
        ({"decided_by": ""}, ":4: decided_by is empty"),
        ({"question": "colour"}, ":4: unknown question 'colour'"),
        ({"problem_id": "nobody"}, ":4: no problem 'nobody'"),
        ({"problem_id": one, "decision": "mathematics/algebra"}, ":4: line 2 decides"),
    ]
    for change, words in bad:
        write(path, [*good, good[1] | change])
        with pytest.raises(UserError) as error:
            load(lake, path, run_id="r")
        assert words in str(error.value)
        assert decisions(lake, "tag") == {}
    for content, words in (
        (b"problem_id,decision\n", "no column 'question'"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b'problem_id,question,decision,decided_by\n"a,tag,x,y', "unexpected end of data"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=words):
            load(lake, path, run_id="r")
    with pytest.raises(UserError, match="cannot read"):
        load(lake, tmp_path / "nothing.csv", run_id="r")


def test_the_commands(lake: Lake, home: Home, tmp_path: Path) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["review", *arguments], env={"KIMI_HOME": str(home.root)})
        return result.exit_code, result.output

    assert call("list") == (0, "nothing waits for a person\n")
    one, two = ids(lake)
    ask(lake, [tag(one), tag(two)], run_id="r")
    code, output = call("list", "--json")
    listed: list[dict[str, Any]] = json.loads(output)
    assert (code, len(listed), listed[0]["reason_code"]) == (0, 2, "low_confidence")
    path = tmp_path / "review.csv"
    assert call("export", str(path), "--question", "tag") == (0, f"2 questions in {path}\n")
    write(path, filled(path, decision="physics/mechanics", decided_by="ann"))
    assert call("import", str(path)) == (0, "2 decisions (2 new or changed), 0 still waiting\n")
    assert call("import", str(path)) == (0, "2 decisions (0 new or changed), 0 still waiting\n")
    write(path, filled(path, decision="nonsense", decided_by="ann"))
    code, output = call("import", str(path))
    assert code == 2
    assert output.count("nonsense") == 2 and "nothing was imported: mend 2 rows" in output
    assert call("export", str(tmp_path / "no" / "x.csv"))[0] == 2
    assert call("list", "--question", "colour")[0] == 2


@given(st.text(max_size=40))
def test_shielding_is_undone(text: str) -> None:
    assert not _shielded(text).startswith(("=", "+", "-", "@"))
    assert _bare(_shielded(text.strip())) == text.strip()
