"""The UI in a real browser, on a home in which curation has run: a stage and its plot, a check that blocks, the report, the
night's switch, the Launchpad. One server for all; `KIMI_SCREENSHOTS=docs/images` keeps the pictures that docs show."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from tests.conftest import missing
from tests.dagster.browser import graphql, open_page, running_ui, why_no_browser
from tests.dagster.lived_in import SET, SETTINGS, live_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RUN_SECONDS = 480  # a run in the UI starts a process of its own
SWITCH_SECONDS = 120
SCHEDULES = """
{ schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "kimi_pipeline"}) {
    ... on Schedules { results { name scheduleState { status } futureTicks(limit: 1) { results { timestamp } } } } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }
"""


@dataclass(frozen=True)
class Ui:
    """The running UI, a browser's page, and what they stand on."""

    url: str
    page: Any
    lake: Lake
    pictures: Path

    def picture(self, name: str, height: int = 900) -> None:
        clip = {"x": 0, "y": 0, "width": 1600, "height": height}
        self.page.screenshot(path=self.pictures / f"{name}.png", clip=clip)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    if reason := why_no_browser():
        missing(reason)
    folder = tmp_path_factory.mktemp("ui")
    pictures = Path(os.environ.get("KIMI_SCREENSHOTS", folder)).resolve()
    with pytest.MonkeyPatch.context() as environment:
        lake = live_in(Home(folder / "home"), environment)
        with running_ui(folder / "ui.log") as url, open_page(folder / "failed.png") as page:
            yield Ui(url, page, lake, pictures)


def test_a_stage_its_plot_and_the_check_that_blocks_it(ui: Ui) -> None:
    page = ui.page
    planted = {"problem_id": "planted", "pass_rate": 0.9, "low": 0.1, "high": 0.3}
    ui.lake.append(tables.DIFFICULTY, [planted], run_id="test", reason="a rate outside its interval")
    before = ended(ui)
    page.goto(f"{ui.url}/assets/difficulty")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Launched run").first.wait_for()
    one_more_ends(ui, before)
    page.goto(f"{ui.url}/assets/difficulty?view=events")
    page.get_by_text("[Show Markdown]").first.click()
    plot = page.get_by_role("img", name="pass_rates")
    plot.wait_for()
    assert plot.evaluate("image => image.naturalWidth") > 300
    ui.picture("plot")
    page.goto(f"{ui.url}/assets/difficulty?view=checks")
    page.get_by_text("Pass rates lie in [0, 1] and inside their interval; not so: planted").wait_for()
    page.get_by_text("blocking").first.wait_for()
    page.get_by_text("Failed", exact=True).first.wait_for()
    ui.picture("check", height=640)


def test_the_report_is_found_at_its_asset_and_searched(ui: Ui) -> None:
    page = ui.page
    page.goto(f"{ui.url}/assets/rl_prompt_set?view=partitions&partition={SET}")
    shown = page.get_by_text(f"report-{SET}-1.html").first
    shown.wait_for()
    page.goto(Path(shown.inner_text().strip()).as_uri())
    refused = ui.lake.rows(
        "select problem_id, prompt from problems semi join (select problem_id from evaluability where verdict = 'refuse') "
        "using (problem_id) order by problem_id limit 1"
    )
    ui.picture("report")
    page.get_by_label("Search").fill(refused[0]["problem_id"][:12])
    found = page.locator("#problems tbody tr")
    assert found.count() == 1
    assert refused[0]["prompt"][:40] in found.first.inner_text()


def test_the_night_is_switched_on(ui: Ui) -> None:
    page = ui.page
    assert schedule(ui)["scheduleState"]["status"] == "STOPPED"
    page.goto(f"{ui.url}/automation")
    page.get_by_text("Scheduled At 01:00 AM UTC").wait_for()
    # night_shift is the last of the list; its box is hidden behind what the page draws in its place.
    box = page.locator("input[type=checkbox]").last
    end = time.monotonic() + SWITCH_SECONDS
    while schedule(ui)["scheduleState"]["status"] == "STOPPED":
        assert time.monotonic() < end, "the switch does nothing"
        box.evaluate("box => box.click()")  # lost where it falls into a redrawing of the list
        page.wait_for_timeout(5000)
    page.wait_for_function("() => [...document.querySelectorAll('input[type=checkbox]')].at(-1).checked")
    ui.picture("automation", height=430)
    on = schedule(ui)
    assert on["scheduleState"]["status"] == "RUNNING" and on["futureTicks"]["results"]
    daemons = graphql(ui.url, SCHEDULES)["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert {one["daemonType"]: one["healthy"] for one in daemons}["SCHEDULER"]


def schedule(ui: Ui) -> dict[str, Any]:
    found = graphql(ui.url, SCHEDULES)["schedulesOrError"]["results"]
    return next(one for one in found if one["name"] == "night_shift")


def test_a_threshold_is_changed_in_the_launchpad(ui: Ui) -> None:
    page, defaults, before = ui.page, load_profile("smoke", SETTINGS).corpora, ended(ui)
    rows = ui.lake.delta(tables.PROBLEMS).count()
    page.goto(f"{ui.url}/assets/corpus")
    page.get_by_text("Row count").wait_for()
    page.get_by_text(f"{rows:,}", exact=True).first.wait_for()
    page.get_by_role("button", name="Materialize").first.locator("xpath=following::button[1]").click()
    page.get_by_text("Open launchpad").click()
    editor = page.locator(".CodeMirror")
    editor.get_by_text("max_text_bytes").wait_for()
    for name, value in (("problems_per_family", 30), ("max_text_bytes", 1000)):
        change(editor, f"{name}: {getattr(defaults, name)}", f"{name}: {value}")
    page.get_by_text("No errors").wait_for()
    page.get_by_role("button", name="Materialize").last.click()
    page.wait_for_url("**/runs/*")  # the Launchpad goes there by itself
    one_more_ends(ui, before)
    page.get_by_text("Success", exact=True).first.wait_for()
    fewer = ui.lake.delta(tables.PROBLEMS).count()
    page.goto(f"{ui.url}/assets/corpus")
    page.get_by_text(f"{fewer:,}", exact=True).first.wait_for()
    assert fewer < rows
    used = (defaults.problems_per_family, defaults.max_text_bytes)
    assert corpus_runs(ui.lake) == [used, (30, 1000)]


def ended(ui: Ui) -> int:
    """How many runs have ended."""
    found = graphql(ui.url, "{ runsOrError { ... on Runs { results { status } } } }")["runsOrError"]["results"]
    return sum(run["status"] in ("SUCCESS", "FAILURE") for run in found)


def one_more_ends(ui: Ui, before: int) -> None:
    """Wait until a run has ended since there were `before`."""
    end = time.monotonic() + RUN_SECONDS
    while ended(ui) <= before:
        assert time.monotonic() < end, "the run did not end"
        time.sleep(0.5)


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
