"""What analysts rely on: the views' columns, reading alone, and a set as Arrow or as a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

import kimi_pipeline
from kimi_pipeline.audit.views import VIEWS, query
from kimi_pipeline.cli import main
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from tests.curation.conftest import Curation


@pytest.mark.parametrize("name", VIEWS)
def test_columns_are_as_documented_also_on_an_empty_lake(name: str, home: Home) -> None:
    columns, rows = query(Lake(home.lake), f"select * from {name}")
    assert columns == list(VIEWS[name].columns)
    assert rows == []


def test_views_hold_what_a_run_wrote(curation: Callable[..., Curation]) -> None:
    run = curation()
    size = run.ready()["rl_prompt_set"].figures["size"]
    lake = run.context.lake
    assert query(lake, "select count(*) from prompt_set where prompt_set = ?", ["smoke"])[1] == [(size,)]
    _, ((decisions, in_force),) = query(lake, "select count(*), count(*) filter (in_force) from ledger")
    assert decisions == in_force > 0
    for name in VIEWS:
        assert query(lake, f"select count(*) from {name}")[1][0][0] > 0
    told = CliRunner().invoke(
        main,
        ["sql", "select bucket, count(*) as n from prompt_set group by 1 order by 1", "--json"],
        env={"KIMI_HOME": str(run.context.home.root)},
    )
    assert sum(row["n"] for row in json.loads(told.output)) == size


@pytest.mark.parametrize(
    "text",
    [
        "drop view problems",
        "insert into problems select * from problems",
        "select 1; select 2",
        "copy (select 1) to 'out.csv'",
        "attach 'other.db'",
        "set enable_external_access = true",
        "select * from read_text('/etc/hostname')",
        "select * from '/etc/hostname'",
        "select nothing from problems",
        "selec",
        "",
    ],
)
def test_anything_but_reading_the_lake_is_refused_in_one_line(text: str, home: Home) -> None:
    with pytest.raises(UserError) as refused:
        query(Lake(home.lake), text)
    assert "\n" not in str(refused.value)


def test_a_set_is_opened_as_arrow_and_as_a_dataset(curation: Callable[..., Curation]) -> None:
    run = curation()
    outcome: Any = run.ready()["rl_prompt_set"]
    opened = kimi_pipeline.open_set("smoke@1", run.context.home.root)
    assert (opened.name, opened.version, opened.manifest["digest"]) == ("smoke", 1, outcome.outputs["digest"])
    assert opened.arrow().num_rows == outcome.figures["size"]
    assert opened.dataset()[0]["prompt"] == opened.arrow()["prompt"][0].as_py()
    with pytest.raises(UserError, match="smoke"):
        kimi_pipeline.open_set("smok", run.context.home.root)
