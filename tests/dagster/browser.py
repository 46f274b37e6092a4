"""A real Dagster UI and a real browser, for the browser test and the screenshots.

Belongs here: starting and ending both. Does not belong here: what is looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kimi_pipeline.home import CHECKOUT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 180  # 15 on an idle machine; far more beside other heavy work
PAGE_MILLISECONDS = 120_000  # a look takes a second on an idle machine
LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


def why_no_browser() -> str | None:
    """The reason why a browser can't be had here, or None."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed: make install-dev"
    return None if CHROMIUM.is_file() else f"no browser at {CHROMIUM}: apt-get install chromium"


@contextlib.contextmanager
def running_ui(log: Path) -> Iterator[str]:
    """Dagster's UI on the environment's home; gives its address once the code location is loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "assets.ui", "--port", str(port)],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_loaded(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_loaded(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            entries = graphql(url, LOADED)["workspaceOrError"]["locationEntries"]
            if all(entry["locationOrLoadError"] for entry in entries):
                assert entries[0]["locationOrLoadError"]["__typename"] == "RepositoryLocation", log.read_text()
                return
        time.sleep(0.5)
    raise AssertionError(f"the UI did not start:\n{log.read_text()}")


def graphql(url: str, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


@contextlib.contextmanager
def open_page(on_failure: Path, width: int = 1600, height: int = 900) -> Iterator[Any]:
    """A page of Debian's chromium; what it showed when something failed is kept in `on_failure`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PAGE_MILLISECONDS)
        try:
            yield page
        except BaseException:
            page.screenshot(path=on_failure)
            raise
        finally:
            browser.close()
