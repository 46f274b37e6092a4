"""The report: one page that needs nothing else, safe with hostile texts, usable in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.audit.report import report
from kimi_pipeline.audit.report_page import write_report
from kimi_pipeline.audit.reward_watch import watched
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from tests.audit.small import rows, small, steady, write
from tests.conftest import missing
from tests.curation.conftest import Curation
from tests.dagster.browser import CHROMIUM, FLAGS, why_no_browser

HOSTILE = "</script><script>document.title = 'broken'</script> How many are 53 <b>and</b> 4?"


@pytest.fixture
def page(curation: Callable[..., Curation], tmp_path: Path) -> Path:
    sources = write(tmp_path, one=[*rows("boxes", 12), {"prompt": HOSTILE, "answer": "57", "planted": None}])
    run = small(curation, sources, steady, curation__max_size=9)
    run.run()
    small(curation, sources, steady, "newer", curation__max_size=7).run()
    lake = run.context.lake
    alarmed(lake)
    found = report(lake, "smoke@2")
    assert [(row["signal"], row["iteration"], row["looks"]) for row in found["reward_alarms"]] == [
        ("unverifiable", 3, 2)
    ]
    assert found["size"] == 7 == sum(row["problems"] for row in found["domains"])
    assert sum(row["members"] for row in found["rates"]) == 7
    assert sum(row["problems"] for row in found["rates"]) == 13
    assert all(row["low"] <= row["problems"] <= row["high"] for row in found["rates"])
    assert sum(row["problems"] for row in found["drift"]["summary"]) == len(found["drift"]["changes"]) > 0
    assert {row["problem_id"] for row in found["drift"]["changes"]} <= {row["problem_id"] for row in found["problems"]}
    with pytest.raises(UserError, match="smoke@2"):
        report(lake, "smoke@7")
    return write_report(lake, "smoke@2", tmp_path / "pages")


def alarmed(lake: Lake) -> None:
    """RL on smoke@2 whose reward seems to be hacked, in iterations 3 and 4."""
    stamp = {"run_id": "r", "reason": "a run"}
    row = {"policy": "policy", "prompt_set": "smoke", "version": 2, "signal": "unverifiable", "judge": "", "n": 64}
    rows = [
        row | {"iteration": at, "hits": 20, "share": 0.3, "baseline": 0.0, "threshold": 0.1, "alarm": at > 2}
        for at in (2, 3, 4)
    ]
    lake.append(tables.REWARD_WATCH, [one | {"sample_ids": ["bomb"]} for one in rows], **stamp)
    sample = {
        "sample_id": "bomb",
        "problem_id": "p",
        "purpose": "rollout",
        "text": HOSTILE,
        "reward": 1.0,
        "status": "?",
    }
    lake.append(tables.SAMPLES, [sample], **stamp)


def test_alarms_of_the_reward_watch_are_read_with_their_responses(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with pytest.raises(UserError, match="no RL run was watched yet"):
        watched(lake)
    alarmed(lake)
    rows = watched(lake)
    assert [row["iteration"] for row in rows] == [3, 4] and rows == watched(lake, policy="pol")
    assert [one["text"] for one in rows[0]["responses"]] == [HOSTILE] and "beyond the verifier" in rows[0]["means"]
    assert [row["alarm"] for row in watched(lake, everything=True)] == [False, True, True]
    with pytest.raises(UserError, match="policy 'x' is none or several"):
        watched(lake, policy="x")


@pytest.fixture
def browser() -> Iterator[Any]:
    if why := why_no_browser():
        missing(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.slow
def test_the_page_works_offline_in_light_and_dark(page: Path, browser: Any) -> None:
    text = page.read_text()
    assert not re.search(r"(src|href)=[\"']?https?:", text)
    inks = set()
    for scheme in ("light", "dark"):
        asked, wrong = [], []
        tab = browser.new_page(color_scheme=scheme)
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        tab.goto(page.as_uri())
        assert tab.title() == "smoke@2: report"  # the hostile prompt is text
        assert tab.get_by_text("document.title").count() == 2  # as a problem and as a suspected response
        tab.get_by_label("Search").fill("<b>and</b> 53")
        assert tab.locator("#problems tbody tr").count() == 1
        assert tab.get_by_role("status").inner_text().startswith("1 of ")
        tab.get_by_label("Search").fill("no such words")
        assert tab.locator("#problems tbody tr").count() == 0
        assert tab.get_by_role("img").count() >= 2
        assert all(len(one.get_attribute("aria-label")) > 10 for one in tab.get_by_role("img").all())
        inks.add(tab.evaluate("getComputedStyle(document.body).color"))
        assert (asked, wrong) == ([page.as_uri()], [])
    assert len(inks) == 2
