"""The record of training runs in MLflow, also where the first process that wanted one was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from kimi_pipeline.folders import LOCK
from kimi_pipeline.home import CHECKOUT, Home
from tests.conftest import require

MAKES = """
import os
from pathlib import Path
from kimi_pipeline.home import Home
from kimi_pipeline.training.tracking import OFFLINE, _make_database
os.environ.update(OFFLINE)
_make_database(Home(Path(os.environ["KIMI_HOME"])))
"""


@pytest.mark.timeout(300)
def test_a_kill_while_mlflow_makes_its_tables_costs_nothing(home: Home) -> None:
    require("mlflow")
    environment = os.environ | {"KIMI_HOME": str(home.root)}
    maker = subprocess.Popen([sys.executable, "-c", MAKES], cwd=CHECKOUT, env=environment, stderr=subprocess.DEVNULL)
    while not any(path.stat().st_size for path in home.root.glob("mlflow/.*/made.db")):
        assert maker.poll() is None
        time.sleep(0.002)
    time.sleep(0.2)  # some of its tables are there
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert not home.mlflow_database.exists()

    from mlflow.tracking.client import MlflowClient

    from kimi_pipeline.training.tracking import Tracker

    for run in ("first", "second"):
        with Tracker(home, "sft", run, {"sft": {"learning_rate": 1e-3}}) as tracker:
            tracker.log(1, {"loss": 2.5})
    client = MlflowClient(home.mlflow_uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert {found.data.tags["kimi.run_id"] for found in runs} == {"first", "second"}
    assert all(found.data.metrics == {"loss": 2.5} and found.info.status == "FINISHED" for found in runs)
    assert [path.name for path in (home.root / "mlflow").iterdir() if path.name.startswith(".")] == [LOCK]
