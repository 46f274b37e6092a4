"""Which version is current: newly cut ones, what people promote, and the way back."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.audit.sets import versions
from kimi_pipeline.cli import main
from kimi_pipeline.curation import selection
from kimi_pipeline.curation.promotion import current, in_use, promote, roll_back
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from tests.curation.conftest import Curation

WHO: dict[str, Any] = {"actor": "person:ada", "reason": "because", "run_id": "r"}


@pytest.fixture
def three(home: Home) -> Lake:
    lake = Lake(home.lake)
    for version in (1, 2, 3):
        row = {"prompt_set": "s", "version": version, "size": 1, "digest": str(version), "manifest": "{}"}
        lake.append(tables.PROMPT_SET_VERSIONS, [row], run_id="r", reason="cut")
        promote(lake, "s", version, actor="selection@1", reason="newly cut", run_id="r")
    return lake


def test_the_way_back_is_the_way_that_was_come(three: Lake) -> None:
    assert current(three, "s") == 3
    assert roll_back(three, "s", **WHO) == 2
    assert roll_back(three, "s", **WHO) == 1
    with pytest.raises(UserError, match="no earlier"):
        roll_back(three, "s", **WHO)
    assert promote(three, "s", 3, **WHO)
    assert not promote(three, "s", 3, **WHO)
    assert roll_back(three, "s", **WHO) == 1
    assert [row["current"] for row in versions(three)] == [True, False, False]


def test_training_takes_the_current_version_and_not_one_that_was_held_back(three: Lake) -> None:
    made = {"prompt_set": "s", "version": 3, "digest": "3"}
    assert in_use(three, made) == made
    assert in_use(three, made | {"prompt_set": "never promoted"})["version"] == 3
    roll_back(three, "s", **WHO)
    assert in_use(three, made) == {"prompt_set": "s", "version": 2, "digest": "2"}


def test_unknown_sets_and_versions_are_refused(three: Lake) -> None:
    with pytest.raises(UserError, match="no version 9"):
        promote(three, "s", 9, **WHO)
    with pytest.raises(UserError, match="no earlier"):
        roll_back(three, "other", **WHO)


def test_a_newly_cut_version_is_current_until_a_person_says_otherwise(curation: Callable[..., Curation]) -> None:
    first = curation()
    first.ready()
    curation(curation__max_pass_rate=0.5).run()
    env = {"KIMI_HOME": str(first.context.home.root)}

    def now() -> list[str]:
        rows = json.loads(CliRunner().invoke(main, ["sets", "--json"], env=env).output)
        return [row["version"] for row in rows if row["current"]]

    assert now() == ["smoke@2"]
    told = CliRunner().invoke(main, ["rollback", "smoke", "--reason", "too strict", "--by", "ada"], env=env)
    assert told.exit_code == 0, told.output
    assert now() == ["smoke@1"]
    told = CliRunner().invoke(main, ["promote", "smoke@2", "--reason", "after all", "--by", "ada"], env=env)
    assert told.exit_code == 0, told.output
    assert now() == ["smoke@2"]
    log = first.context.lake.rows("select version, actor, reason from promotions order by created_at")
    assert [(row["version"], row["actor"]) for row in log][2:] == [(1, "person:ada"), (2, "person:ada")]


def test_a_version_whose_run_was_killed_before_it_became_current_does_so_at_the_next(
    curation: Callable[..., Curation], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = curation()
    run.ready()
    lake = run.context.lake
    killed = curation(curation__max_pass_rate=0.5)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(selection, "promote", lambda *told, **more: (_ for _ in ()).throw(KeyboardInterrupt))
        killed.run()
    assert (selection.newest_version(lake, "smoke"), current(lake, "smoke")) == (2, 1)
    killed.run()
    assert (selection.newest_version(lake, "smoke"), current(lake, "smoke")) == (2, 2)
    roll_back(lake, "smoke", **WHO)
    selection.cut(killed.context)
    assert current(lake, "smoke") == 1  # once current, only a person brings it back


def test_two_cuts_of_one_set_have_two_numbers(
    curation: Callable[..., Curation], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = curation()
    run.ready()
    write = Lake.replace_query

    def slowly(*arguments: Any, **options: Any) -> int:
        time.sleep(1)  # time for the other one to find the same newest version
        return write(*arguments, **options)

    monkeypatch.setattr(Lake, "replace_query", slowly)
    contexts = [curation(curation__max_pass_rate=most).context for most in (0.5, 0.6)]
    contexts = [dataclasses.replace(one, lake=Lake(run.context.lake.root)) for one in contexts]
    cuts = [threading.Thread(target=selection.cut, args=(context,)) for context in contexts]
    for one in cuts:
        one.start()
    for one in cuts:
        one.join(timeout=120)
    rows = run.context.lake.rows("select version, size, digest from prompt_set_versions order by version")
    assert [row["version"] for row in rows] == [1, 2, 3] and len({row["digest"] for row in rows}) == 3
    sizes = run.context.lake.rows("select version, count(*) n from prompt_set group by 1 order by 1")
    assert [row["n"] for row in sizes] == [row["size"] for row in rows]
    assert current(run.context.lake, "smoke") == 3
