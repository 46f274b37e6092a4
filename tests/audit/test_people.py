"""People's decisions: they outrank rules, hold over re-runs, end when they should, and every reader shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.audit.diff import diff
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.audit.funnel import funnel
from kimi_pipeline.cli import main
from kimi_pipeline.curation import review
from kimi_pipeline.lake import Lake
from tests.audit.small import rows, small, special, steady, write
from tests.curation.conftest import Curation

NAME = ["--reason", "we know better", "--by", "ada", "--json"]


def members(lake: Lake) -> dict[str, dict[str, Any]]:
    found = lake.rows("select * from prompt_set qualify version = max(version) over (partition by prompt_set)")
    return {row["problem_id"]: row for row in found}


def one(lake: Lake, query: str) -> str:
    return str(lake.rows(query + " order by problem_id limit 1")[0]["problem_id"])


def door(run: Curation, *arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments), env={"KIMI_HOME": str(run.context.home.root)})


def done(run: Curation, *arguments: str) -> Any:
    found = door(run, *arguments)
    assert found.exit_code == 0, found.output
    return json.loads(found.output)


def test_keep_ban_and_relabel_outrank_every_rule(curation: Callable[..., Curation], tmp_path: Path) -> None:
    sources = write(tmp_path, one=[*rows("boxes", 24), *special()], two=rows("farm", 12))
    run = small(curation, sources, steady, curation__max_size=20)
    run.run()
    lake = run.context.lake
    proof = one(lake, "select problem_id from evaluability where reason_code = 'proof'")
    hacked = one(lake, "select problem_id from ledger where reason_code = 'easy_to_hack'")
    full = one(lake, "select problem_id from ledger where reason_code = 'over_max_size'")
    banned, retagged, corrected = sorted(members(lake))[:3]
    for problem in (proof, hacked, full):
        assert done(run, "decide", "keep", problem[:16], *NAME)["changed"]
    assert not done(run, "decide", "keep", proof, *NAME)["changed"]
    done(run, "decide", "ban", banned, *NAME)
    done(run, "decide", "relabel", retagged, "--tag", "coding/other", *NAME)
    done(run, "decide", "relabel", corrected, "--answer", "424242", *NAME)
    for _ in range(2):  # the decisions hold over re-runs
        outcomes = run.run()
        now = members(lake)
        assert {proof, hacked, full} <= now.keys()
        assert banned not in now
        assert now[retagged]["domain"] == "coding"
        assert lake.read(tables.TAGS, where=[("problem_id", "=", retagged)]).to_pylist()[0]["origin"] == "person"
    assert outcomes["decision_ledger"].figures["refused_members"] == 0
    stages = {row["stage"]: row for row in funnel(lake)["stages"]}
    assert stages["people"]["refused"] == {"banned_by_person": 1}
    assert stages["selection"]["out"] == len(now) == 20
    changes = {row["problem_id"]: row for row in diff(lake, "smoke@1", "smoke@2")["changes"]}
    for problem in (proof, hacked, full, banned):
        assert (changes[problem]["stage"], changes[problem]["cause"]) == ("people", "person")
    assert (changes[corrected]["stage"], changes[corrected]["cause"]) == ("people", "person")  # none is right any more
    displaced = [row for row in changes.values() if row["cause"] == "quota_displaced"]
    assert displaced and all("people: person" in row["moved_by"] for row in displaced)
    told = {row["stage"]: row for row in explain(lake, proof)["decisions"]}
    assert told["evaluability"]["reason_code"] == "proof"  # the rule still says what it says
    assert told["people"]["actor"] == "person:ada"
    assert told["people"]["evidence"] == {"reason": "we know better"}
    ledger = lake.rows("select evidence from ledger where stage = 'people' and subject = 'answer'")
    assert "424242" not in ledger[0]["evidence"]  # the ledger holds no text


def test_a_decision_ends_on_its_day_or_when_it_is_lifted(
    curation: Callable[..., Curation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = small(curation, write(tmp_path, one=rows("boxes", 12)), steady)
    run.run()
    lake = run.context.lake
    first, second = sorted(members(lake))[:2]
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    assert done(run, "decide", "ban", first, "--until", day.isoformat(), *NAME)["changed"]
    done(run, "decide", "ban", second, *NAME)
    run.run()
    assert not {first, second} & members(lake).keys()
    done(run, "decide", "lift", second, *NAME)
    run.run()
    assert {first, second} & members(lake).keys() == {second}
    monkeypatch.setattr(review, "now", lambda: datetime.now(UTC) + timedelta(days=5))
    run.run()
    assert {first, second} <= members(lake).keys()
    ended = lake.rows("select problem_id, actor from ledger where reason_code = 'decision_ended' order by created_at")
    assert [row["problem_id"] for row in ended] == [second, first]
    changes = {row["problem_id"]: row for row in diff(lake, "smoke@3", "smoke@4")["changes"]}
    assert (changes[first]["change"], changes[first]["cause"]) == ("added", "person")
    assert [row["version"] for row in lake.rows("select version from prompt_set_versions order by 1")] == [1, 2, 3, 4]


def test_decisions_refuse_what_is_wrong_with_one_line(curation: Callable[..., Curation], tmp_path: Path) -> None:
    held = rows("farm", 1)
    entry = write(tmp_path, one=[*rows("boxes", 3), *held])
    (tmp_path / "held.jsonl").write_text(json.dumps(held[0]))
    run = small(curation, entry, steady, corpora__evaluation_sets=[str(tmp_path / "held.jsonl")])
    run.run("contamination")
    lake = run.context.lake
    known = one(lake, "select problem_id from problems")
    copy = one(lake, "select problem_id from contamination where reason_code = 'evaluation_copy'")
    for arguments, said in (
        (["ban", known[:-3] + "zzz", *NAME], "nearest"),
        (["keep", copy, *NAME], "copy of an evaluation problem"),
        (["ban", known, "--reason", "x", "--until", "2020-01-01"], "is over"),
        (["ban", known, "--reason", " "], "--reason is empty"),
        (["relabel", known, *NAME], "either --answer or --tag"),
        (["relabel", known, "--tag", "nonsense", *NAME], "no tag of the taxonomy"),
    ):
        found = door(run, "decide", *arguments)
        assert (found.exit_code, found.output.count("\n")) == (2, 1), found.output
        assert said in found.output
    assert not lake.exists(tables.REVIEW) or not lake.rows("select 1 from review where state = 'decided'")
