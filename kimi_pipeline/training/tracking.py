"""The record of training runs in MLflow: an experiment a stage, metrics by step, checkpoints as model versions.

Belongs here: everything that imports MLflow. Does not belong here: which numbers there are (`sft.py`, `rl/loop.py`) and
the manifest itself (`checkpoints.py`).

MLflow takes seconds to import and to open its database, so a thread does it beside the training, and writes what is
logged in batches. Nothing goes to the network.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from kimi_pipeline.checkpoints import Checkpoint
from kimi_pipeline.folders import scratch_folder
from kimi_pipeline.home import Home

OFFLINE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
METRICS_AT_ONCE = 900  # MLflow takes at most 1,000 a call
PARAMETERS_AT_ONCE = 90  # and at most 100 parameters
PARAMETER_LENGTH = 500
PAUSE_SECONDS = 2.0  # what is logged within it goes in one transaction

_Item = tuple[str, Any]


class Tracker:
    """One MLflow run of a stage; a context manager that ends the run as finished or failed.

    Errors of the thread are raised by the next call, the last ones at the end of the block.
    """

    def __init__(self, home: Home, stage: str, run_id: str, settings: Mapping[str, Any]) -> None:
        """`run_id` is the pipeline's; `settings` (nested) become the run's parameters, named `section.field`."""
        self._home = home
        self._stage = stage
        self._run_id = run_id
        self._parameters = _flat(settings)
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def __enter__(self) -> Tracker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(("end", "FAILED" if kind else "FINISHED"))
        self._thread.join()
        if kind is None:
            self._raise()

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Numbers of one step. What is no finite number is left out: MLflow can't hold it."""
        self._raise()
        stamp = int(time.time() * 1000)
        kept = {
            name: float(value)
            for name, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        self._queue.put(("metrics", (step, stamp, kept)))

    def register(self, checkpoint: Checkpoint) -> None:
        """Make the checkpoint a version of the stage's registered model, its manifest an artifact of the run."""
        self._raise()
        self._queue.put(("checkpoint", checkpoint))

    def _raise(self) -> None:
        if self._error is not None:
            raise RuntimeError(f"MLflow could not record the run: {self._error}") from self._error

    # -- the thread ---------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._record()
        except BaseException as error:  # handed to the caller
            self._error = error

    def _record(self) -> None:
        os.environ.update(OFFLINE)
        from mlflow.entities import Metric, Param
        from mlflow.tracking.client import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of every table of its database
        _make_database(self._home)
        client = MlflowClient(self._home.mlflow_uri)
        run = client.create_run(
            self._experiment(client), run_name=self._run_id[:12], tags={"kimi.run_id": self._run_id}
        )
        key = run.info.run_id
        parameters = [Param(name, value) for name, value in self._parameters.items()]
        for at in range(0, len(parameters), PARAMETERS_AT_ONCE):
            client.log_batch(key, params=parameters[at : at + PARAMETERS_AT_ONCE])
        while True:
            kind, value = self._queue.get()
            metrics: list[Metric] = []
            while kind == "metrics":
                step, stamp, numbers = value
                metrics += [Metric(name, number, stamp, step) for name, number in numbers.items()]
                if len(metrics) > METRICS_AT_ONCE:
                    break
                try:
                    kind, value = self._queue.get(timeout=PAUSE_SECONDS)
                except queue.Empty:
                    kind = "pause"
            for at in range(0, len(metrics), METRICS_AT_ONCE):
                client.log_batch(key, metrics=metrics[at : at + METRICS_AT_ONCE])
            if kind == "checkpoint":
                self._register(client, key, value)
            elif kind == "end":
                client.set_terminated(key, value)
                return

    def _experiment(self, client: Any) -> str:
        from mlflow.exceptions import MlflowException

        known = client.get_experiment_by_name(self._stage)
        if known is None:
            place = (self._home.root / "mlflow" / self._stage).as_uri()
            try:
                return str(client.create_experiment(self._stage, artifact_location=place))
            except MlflowException:  # another job made it meanwhile
                known = client.get_experiment_by_name(self._stage)
                if known is None:
                    raise
        return str(known.experiment_id)

    def _register(self, client: Any, run: str, checkpoint: Checkpoint) -> None:
        from mlflow.exceptions import MlflowException

        name = f"kimi-{checkpoint.stage}"
        tags = {"digest": checkpoint.digest, "parent": checkpoint.parent or "", "note": checkpoint.note}
        for tag, text in tags.items():
            client.set_tag(run, f"kimi.{tag}", text)
        client.log_text(run, json.dumps(checkpoint.manifest(), indent=2, sort_keys=True, default=str), "manifest.json")
        if not client.search_registered_models(f"name = '{name}'"):
            try:
                client.create_registered_model(name)
            except MlflowException:  # another job made it meanwhile
                if not client.search_registered_models(f"name = '{name}'"):
                    raise
        client.create_model_version(name, source=checkpoint.folder.as_uri(), run_id=run, tags=tags)


def _make_database(home: Home) -> None:
    """MLflow's database, where there is none, appears whole: MLflow makes its tables one by one, and what a kill leaves in the
    middle of that it can never open again."""
    if home.mlflow_database.is_file():
        return
    from mlflow.tracking.client import MlflowClient

    with scratch_folder(home.root / "mlflow") as scratch:
        made, whole = scratch / "made.db", scratch / "whole.db"
        MlflowClient(f"sqlite:///{made}").search_experiments()
        with contextlib.closing(sqlite3.connect(made)) as source, contextlib.closing(sqlite3.connect(whole)) as copy:
            source.backup(copy)  # MLflow keeps its own open
        with contextlib.suppress(FileExistsError):  # another job was faster
            os.link(whole, home.mlflow_database)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)[:PARAMETER_LENGTH]
    return found
