"""Coverage against a mix, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.audit.coverage import coverage
from kimi_pipeline.cli import main
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake

TAGS = {
    "m1": ("mathematics", "geometry"),
    "m2": ("mathematics", "geometry"),
    "m3": ("mathematics", "algebra"),
    "p1": ("physics", "mechanics"),
    "refused": ("physics", "mechanics"),
    "dirty": ("physics", "mechanics"),
}


@pytest.fixture
def lake(home: Home) -> Lake:
    def rows(table: tables.Table, **values: Any) -> list[dict[str, Any]]:
        empty = {name: None for name in table.schema.names if name not in table.volatile}
        return [
            empty
            | {name: value(key) if callable(value) else value for name, value in ({"problem_id": str} | values).items()}
            for key in TAGS
        ]

    def verdict(refused: str) -> Any:
        return lambda key: "refuse" if key == refused else "keep"

    lake = Lake(home.prepare().lake)
    stored = [
        (tables.PROBLEMS, rows(tables.PROBLEMS, source="s", source_row=str, prompt=str, answer="1")),
        (
            tables.TAGS,
            rows(
                tables.TAGS,
                domain=lambda key: TAGS[key][0],
                discipline=lambda key: TAGS[key][1],
                language=lambda key: "zh" if key == "m3" else "en",
                confidence=lambda key: 0.5 if key == "m1" else 1.0,
            ),
        ),
        (tables.EVALUABILITY, rows(tables.EVALUABILITY, verdict=verdict("refused"), reason_code="")),
        (tables.CONTAMINATION, rows(tables.CONTAMINATION, verdict=verdict("dirty"), reason_code="")),
    ]
    for table, content in stored:
        lake.append(table, content, run_id="r", reason="test")
    copy = rows(tables.PROBLEMS, source="s", source_row="copy", prompt="m1", answer="1")[0]
    lake.append(tables.PROBLEMS, [copy], run_id="r", reason="a duplicate of m1")
    known = {name: "" for name in tables.DUPLICATES.schema.names if name not in tables.DUPLICATES.volatile}
    lake.append(tables.DUPLICATES, [known | {"source": "s", "source_row": "copy"}], run_id="r", reason="test")
    return lake


def test_shares_and_gaps(lake: Lake) -> None:
    found = coverage(lake, {"mathematics": 0.5, "physics": 0.3, "chemistry": 0.2}, size=20)
    assert found["problems"] == 4  # neither the duplicate nor the refused ones
    domains = {row["domain"]: row for row in found["domains"]}
    assert domains["mathematics"] == {
        "domain": "mathematics", "problems": 3, "share": 0.75, "target": 0.5, "gap": 0.25, "missing": 7,
    }  # fmt: skip
    assert (domains["physics"]["gap"], domains["physics"]["missing"]) == (-0.05, 5)
    assert (domains["chemistry"]["problems"], domains["chemistry"]["missing"]) == (0, 4)
    assert found["tags"][0] | {"confidence": 0.75, "share": 0.5, "problems": 2} == found["tags"][0]
    assert sum(row["chinese"] for row in found["tags"]) == 1
    assert found["largest"] == 0  # there is no chemistry
    assert "chemistry/general_chemistry" in found["absent"]
    assert "mathematics/geometry" not in found["absent"]
    assert coverage(lake, {"mathematics": 0.5, "physics": 0.5})["largest"] == 2
    assert coverage(lake, {}, sources=["other"]) == {
        "problems": 0, "domains": [], "tags": [], "absent": [], "largest": None,
    }  # fmt: skip


def test_the_command(lake: Lake, home: Home) -> None:
    (home.recipes / "mine.toml").write_text("max_size = 10\n[mix]\nmathematics = 1.0\n")
    env = {"KIMI_HOME": str(home.root)}
    found = json.loads(CliRunner().invoke(main, ["coverage", "mine", "--json"], env=env).output)
    assert {row["domain"]: row["missing"] for row in found["domains"]} == {"mathematics": 7, "physics": None}
    shown = CliRunner().invoke(main, ["coverage", "mine"], env=env).output
    assert "largest set that has the mix exactly: 3" in shown and "no problem at all: mathematics/" in shown
