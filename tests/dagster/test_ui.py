"""The UI in a real browser: materialise an asset, then once more with settings changed in the Launchpad."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.tables import PROBLEMS
from tests.dagster.browser import open_page, running_ui, why_no_browser

RUN_MS = 180_000  # a run in the UI starts a process of its own


@pytest.fixture
def browser_or_skip() -> None:
    reason = why_no_browser()
    if reason and os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_materialise_and_change_a_threshold_in_the_launchpad(browser_or_skip: None, home: Home, tmp_path: Path) -> None:
    lake, defaults = Lake(home.lake), load_profile("smoke", {}).corpora
    with running_ui(tmp_path / "ui.log") as url, open_page(tmp_path / "failed.png") as page:
        page.goto(f"{url}/assets/corpus")
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_text("Launched run").first.wait_for()
        page.goto(f"{url}/runs")
        wait_for_success(page)
        rows = rows_shown(page, url, lake)
        page.screenshot(path=tmp_path / "materialised.png")
        assert corpus_runs(lake) == [(defaults.problems_per_family, defaults.max_text_bytes)]

        page.get_by_role("button", name="Materialize").first.locator("xpath=following::button[1]").click()
        page.get_by_text("Open launchpad").click()
        editor = page.locator(".CodeMirror")
        editor.get_by_text("max_text_bytes").wait_for()
        for name, value in (("problems_per_family", 30), ("max_text_bytes", 1000)):
            change(editor, f"{name}: {getattr(defaults, name)}", f"{name}: {value}")
        page.get_by_text("No errors").wait_for()
        page.screenshot(path=tmp_path / "launchpad.png")
        page.get_by_role("button", name="Materialize").last.click()
        page.wait_for_url("**/runs/*")  # the Launchpad goes there by itself
        wait_for_success(page)
        fewer = rows_shown(page, url, lake)
        page.screenshot(path=tmp_path / "changed.png")
        assert fewer < rows
        assert corpus_runs(lake)[-1] == (30, 1000)


def wait_for_success(page: Any) -> None:
    """Wait until the page, of one run or of all, shows the one run as ended well."""
    page.get_by_text("Success", exact=True).first.wait_for(timeout=RUN_MS)


def rows_shown(page: Any, url: str, lake: Lake) -> int:
    """The asset's page shows the lake's row count; returns it."""
    rows = lake.delta(PROBLEMS).count()
    page.goto(f"{url}/assets/corpus")
    page.get_by_text("Row count").wait_for()
    page.get_by_text(f"{rows:,}", exact=True).first.wait_for()
    return rows


def change(editor: Any, old: str, new: str) -> None:
    """Replace text in the Launchpad's editor (typing would fight its auto-indent)."""
    text = editor.evaluate("element => element.CodeMirror.getValue()")
    assert old in text, text
    editor.evaluate("(element, text) => element.CodeMirror.setValue(text)", text.replace(old, new))


def corpus_runs(lake: Lake) -> list[tuple[int, int]]:
    """The settings that each computation of the corpus used, oldest first."""
    rows = lake.rows("select inputs from stages where stage = 'corpus' order by created_at")
    used = [json.loads(row["inputs"])["settings"] for row in rows]
    return [(settings["builtin"][0], settings["max_text_bytes"]) for settings in used]
