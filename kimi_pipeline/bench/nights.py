"""Half a year of nights: how the lake and Dagster's store grow, and whether explain and the UI stay quick.

Belongs here: the lake that nights start from, starting the measured process and the UI, the figures and the bounds. Does not
belong here: a night (`assets/nights_bench.py`, a process of its own, for the methods know nothing of Dagster).

What is stated: the event store stays below `EVENT_STORE_BOUND` whatever the number of nights, since runs older than
`maintenance.keep_run_days` go; the lake grows by at most `LAKE_BOUND` bytes a night and prompt, since every night's version
and what it was cut from can be rebuilt for good.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.audit import context_of, draw_samples
from kimi_pipeline.bench.curation_job import SET, stages_in_order
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.jobs import LocalLauncher
from kimi_pipeline.stages import Context

NAME = "nights"
JOB = "assets.nights_bench"
CHECKPOINT_EVERY, MAINTENANCE_EVERY = 30, 7
BUDGET = 300_000  # output tokens a night: about 500 prompts of the 100,000
EVENT_STORE_BOUND = 100 * 2**20
LAKE_BOUND = 150
RUNS = 5
RECIPE = 'nightly = true\nmax_size = {size}\nweights = "by_failure"\n'
QUERIES = {
    "assets": "{ assetNodes { assetKey { path } latestMaterializationByPartition { timestamp } } }",
    "runs": "{ runsOrError(limit: 25) { ... on Runs { results { id status tags { key value } } } } }",
    "definitions": "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { ... on "
    "RepositoryLocation { repositories { jobs { name } schedules { name } sensors { name } } } } } } } }",
}


def measure(home: Home, problems: int, nights: int) -> dict[str, Any]:
    """Sizes after each night, seconds of a night, of `explain` and of the UI before the first and after the last."""
    own = Home(home.root / "bench" / NAME).prepare()
    context = _lake(own, problems)
    place = context.home
    start = _kept(place.root / "at-the-start.json", lambda: _answering(place, context))
    spec = {
        "home": str(place.root),
        "settings": _settings(context),
        "nights": nights,
        "progress": str(place.root / "nights.jsonl"),
    }
    rows = LocalLauncher(own.jobs).run(JOB, spec)["nights"][:nights]
    first, last = rows[0], rows[-1]
    prompts = context.lake.rows("select count(*) as n from difficulty where checkpoint = 'drawn'")[0]["n"]
    held = [row["bytes"] + row["pinned"] + row["log"] for row in rows]
    a_night = (held[-1] - held[0]) / max(1, len(rows) - 1)
    events = max(row["event_store"] for row in rows)
    return {
        "name": NAME,
        "figures": {
            "nights": len(rows),
            "prompts": prompts,
            "versions": last["versions"],
            "lake_mb": {"first": round(held[0] / 1e6, 1), "last": round(held[-1] / 1e6, 1)},
            "lake_bytes_a_night_and_prompt": round(a_night / prompts, 1),
            "lake_within_bound": a_night / prompts <= LAKE_BOUND,
            "event_store_mb": {
                "first": round(first["event_store"] / 1e6, 2),
                "last": round(last["event_store"] / 1e6, 2),
                "most": round(events / 1e6, 2),
            },
            "event_store_within_bound": events <= EVENT_STORE_BOUND,
            "largest_tables_mb": {
                name: round(size / 1e6, 1) for name, size in sorted(last["tables"].items(), key=lambda i: -i[1])[:6]
            },
            "night_seconds": {
                "first_ten": round(statistics.median(row["seconds"] for row in rows[:10]), 1),
                "last_ten": round(statistics.median(row["seconds"] for row in rows[-10:]), 1),
            },
            "seconds_to_answer": {"start": start, "end": _answering(place, context)},
        },
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --problems {problems} --nights {nights}",
    }


def _lake(own: Home, problems: int) -> Context:
    context = context_of(own, problems)
    if not context.lake.rows("select 1 from prompt_set_versions"):
        (context.home.recipes / f"{SET}.toml").write_text(RECIPE.format(size=problems // 2))
        for name in stages_in_order(context):
            if name == "guessability":
                draw_samples(context)
    return context


def _settings(context: Context) -> dict[str, Any]:
    corpora = context.profile.corpora
    return {
        "corpora.sources": corpora.sources,
        "corpora.evaluation_sets": corpora.evaluation_sets,
        "curation.prompt_set": SET,
        "nights.token_budget": BUDGET,
    }


def _kept(path: Path, made: Any) -> dict[str, float]:
    """What was measured before the first night is not measured again."""
    if not path.is_file():
        path.write_text(json.dumps(made()))
    return dict(json.loads(path.read_text()))


def _answering(place: Home, context: Context) -> dict[str, float]:
    """Median seconds of `explain` as a whole process and of queries that the UI asks, warm."""
    member = context.lake.rows("select problem_id from prompt_set order by 1 limit 1")[0]["problem_id"]
    environment = os.environ | {
        "KIMI_HOME": str(place.root),
        "KIMI_PROFILE": "laptop",
        "KIMI_SET": json.dumps(_settings(context)),
    }
    command = [sys.executable, "-m", "kimi_pipeline.cli", "explain", member, "--json"]
    times = [
        _timed(lambda: subprocess.run(command, env=environment, check=True, capture_output=True)) for _ in range(RUNS)
    ]
    found = {"explain": round(statistics.median(times), 3)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ui = subprocess.Popen(
        [sys.executable, "-m", "assets.ui", "--port", str(port)],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, ui)
        for name, query in QUERIES.items():
            _ask(port, query)
            found[f"ui: {name}"] = round(
                statistics.median(_timed(lambda q=query: _ask(port, q)) for _ in range(RUNS)), 3
            )
    finally:
        ui.terminate()
        ui.wait()
    return found


def _timed(work: Any) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _wait_for(port: int, ui: subprocess.Popen[bytes], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and ui.poll() is None:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError, KeyError, TypeError):
            entries = _ask(port, QUERIES["definitions"])["workspaceOrError"]["locationEntries"]
            if entries and entries[0]["locationOrLoadError"]["repositories"]:
                return
        time.sleep(0.5)
    raise UserError(f"bench {NAME}: the UI did not start")


def _ask(port: int, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]
