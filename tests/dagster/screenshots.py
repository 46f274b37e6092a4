"""`python -m tests.dagster.screenshots [OUT]`: the pictures of README and docs, taken from the home in `$KIMI_HOME`.

Belongs here: which pictures there are. Does not belong here: making the home (`kimi-pipeline run`, before), the plots
in it (they are files of `reports/`).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from kimi_pipeline.home import CHECKOUT
from tests.dagster.browser import open_page, running_ui, why_no_browser

SETTLE_MS = 3000  # the graph is laid out by a worker, and nothing in the page says when it is done


def take(out: Path) -> list[Path]:
    """Take all pictures; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp())
    with running_ui(scratch / "ui.log") as url, open_page(scratch / "failed.png", width=1600, height=1200) as page:
        return [
            graph(page, url, out / "graph.png"),
            asset(page, url, "rl_prompt_set", out / "asset.png"),
        ]


def graph(page: Any, url: str, path: Path) -> Path:
    """The whole lineage with its groups open, from top to bottom, fitted into the picture."""
    _open_lineage(page, url)
    page.keyboard.press("Alt+KeyE")  # expand all groups; the address then names them
    page.wait_for_timeout(SETTLE_MS)
    page.mouse.click(1000, 110, button="right")
    page.get_by_text("Change graph to vertical orientation").first.evaluate("item => item.click()")
    page.wait_for_timeout(SETTLE_MS)
    page.reload()  # a fresh page fits the graph to the window
    page.get_by_role("button", name="Materialize all").wait_for()
    page.wait_for_timeout(2 * SETTLE_MS)
    page.screenshot(path=path)
    return path


def _open_lineage(page: Any, url: str) -> None:
    page.goto(f"{url}/asset-groups")
    page.get_by_role("button", name="Materialize all").wait_for()
    page.wait_for_timeout(SETTLE_MS)


def asset(page: Any, url: str, name: str, path: Path) -> Path:
    """An asset's page: figures, checks, columns."""
    page.goto(f"{url}/assets/{name}")
    page.get_by_text("Latest materialization").wait_for()
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    reason = why_no_browser()
    if reason:
        sys.exit(f"error: {reason}")
    for picture in take(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "docs" / "images"):
        print(picture)
