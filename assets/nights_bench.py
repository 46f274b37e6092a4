"""The measured process of `bench nights`: nights one after the other through the real job, on a clock that runs ahead.

Belongs here: the clock, what stands in for the model, a night, what is measured after it. Does not belong here: the lake and
the figures (`kimi_pipeline/bench/nights.py`), nights themselves (`nights.py`, `kimi_pipeline/nights/`).

A night is the job `night_shift` with its assets, event log and checks of drift; answers are drawn by a hash, at a rate that
is the problem's and moves a little with each checkpoint, and are judged by the verifier. A new checkpoint comes every
thirtieth night, maintenance every seventh. Finished nights stand in a file, so that a run that was cut off goes on.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

import assets.nights as night_assets
import kimi_pipeline.clock as clock_module
from assets.definitions import build_defs
from kimi_pipeline.bench.curation_job import SKIPPED, alone, drawn_lineage
from kimi_pipeline.bench.nights import CHECKPOINT_EVERY, MAINTENANCE_EVERY
from kimi_pipeline.checkpoints import save_checkpoint
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.inference import sampling_job
from kimi_pipeline.inference.request import Completion, SampleRequest
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.lake import Lake
from kimi_pipeline.maintenance.storage import storage
from kimi_pipeline.maintenance.tidying import tidy
from kimi_pipeline.stages import Stage, new_run_id
from resources import ComputeResource
from resources.instance import open_instance
from resources.pruning import prune

BEGIN = datetime(2027, 1, 1, 1, tzinfo=UTC)  # of the clock that runs ahead: after every row that is there
KEEP_NIGHTS = 90  # of Dagster's runs: maintenance.keep_run_days
ANSWER_TOKENS = 60


class Clock:
    """The time that rows and nights get, a day a night."""

    def __init__(self) -> None:
        self.at = BEGIN

    def __call__(self) -> datetime:
        return self.at


class DrawnCarrier:
    """Answers without a model: right at the problem's own rate, which each checkpoint shifts a little."""

    name = "drawn"

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def generate(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        for request in requests:
            if request.purpose == "guess":
                rate = 0.01
            else:
                rate = (_drawn(request.problem_id) + 0.2 * _drawn(request.problem_id, request.checkpoint)) / 1.2
            right = _drawn(request.sample_id) < rate
            text = f"\\boxed{{{self.answers[request.problem_id] if right else 'wrong'}}} " + request.sample_id * 4
            yield Completion(request, text, "stop", prompt_tokens=40, completion_tokens=ANSWER_TOKENS)

    def close(self) -> None: ...


def _drawn(*of: str) -> float:
    return int(digest(list(of))[:8], 16) / 2**32


class DrawnCompute(ComputeResource):
    """Runs sampling jobs in this process, where the drawn carrier lives."""

    def launcher(self, context: Any, folder: Path) -> Any:
        return _Here()


class _Here:
    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        return sampling_job.run(spec, Report("sampling"))


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    home = Home(Path(spec["home"]))
    os.environ |= {"KIMI_HOME": str(home.root), "KIMI_PROFILE": "laptop", "KIMI_SET": json.dumps(spec["settings"])}
    progress = Path(spec["progress"])
    done = [json.loads(line) for line in progress.read_text().splitlines()] if progress.is_file() else []
    lake, clock = Lake(home.lake), Clock()
    _stand_in(lake, clock)
    lineage = _lineage()
    defs = build_defs({"compute": DrawnCompute()}, lineage)
    job = defs.resolve_job_def(night_assets.JOB)
    with open_instance(home) as instance:
        for number in range(len(done), spec["nights"]):
            clock.at = BEGIN + timedelta(days=number)
            started = time.monotonic()
            _night(home, lake, instance, job, number, clock.at)
            row = {"night": number, "seconds": round(time.monotonic() - started, 2), "run_at": time.time()}
            if number % MAINTENANCE_EVERY == MAINTENANCE_EVERY - 1:
                tidy(lake, run_id=new_run_id(), keep_hours=0)
                _prune(instance, home, done)
                row["maintenance_seconds"] = round(time.monotonic() - started - row["seconds"], 2)
            done.append(row | _sizes(lake, home))
            with progress.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
            report.progress(number + 1, spec["nights"], "nights")
    return {"nights": done}


def _lineage() -> dict[str, Stage]:
    return {name: alone(stage) for name, stage in drawn_lineage().items() if name not in SKIPPED}


def _stand_in(lake: Lake, clock: Clock) -> None:
    """Put the clock and the drawn answers where the modules look for theirs: this process does nothing else."""
    clock_module.now = clock  # type: ignore[assignment]
    night_assets.now = clock  # type: ignore[assignment]
    answers = {row["problem_id"]: row["answer"] for row in lake.rows("select problem_id, answer from problems")}
    carrier = DrawnCarrier(answers)

    class Carriers(sampling_job.Carriers):
        def __init__(self, profile: Any) -> None:
            self.seconds = 0.0  # and no engine

        def close(self) -> None: ...

        def serving(self, folder: Path | None) -> Any:
            return carrier

    sampling_job.Carriers = Carriers  # type: ignore[misc]


def _night(home: Home, lake: Lake, instance: dg.DagsterInstance, job: Any, number: int, at: datetime) -> None:
    if number % CHECKPOINT_EVERY == 0:
        named = f"checkpoint of night {number}"
        save_checkpoint(home.checkpoints, "rl", lambda folder: (folder / "config.json").write_text(json.dumps(named)))
    done = job.execute_in_process(
        instance=instance,
        run_config={
            "ops": {"nightly_estimates": {"config": {"due": at.isoformat()}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        tags={night_assets.DUE: at.isoformat()},
    )
    assert done.success


def _prune(instance: dg.DagsterInstance, home: Home, done: list[dict[str, Any]]) -> None:
    """As if the runs were as old as their nights: those of more than `KEEP_NIGHTS` nights ago go."""
    if len(done) > KEEP_NIGHTS:
        oldest_kept = datetime.fromtimestamp(done[-KEEP_NIGHTS]["run_at"], UTC)
        prune(instance, home, at=oldest_kept + timedelta(days=1), keep_days=1)


def _sizes(lake: Lake, home: Home) -> dict[str, Any]:
    found = storage(lake, home)
    names = ("bytes", "pinned", "loose", "log")
    sizes: dict[str, Any] = {name: sum(row[name] for row in found["tables"]) for name in names}
    sizes["event_store"] = next(row["bytes"] for row in found["folders"] if row["folder"] == "dagster")
    sizes["tables"] = {row["table"]: row["bytes"] + row["pinned"] for row in found["tables"]}
    (rows,) = lake.rows("select count(*) as versions from prompt_set_versions")
    return sizes | rows


if __name__ == "__main__":
    job_main(run)
