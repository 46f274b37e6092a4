"""What every test may use: an empty home, a context on it, and skips that say why (or fail under REQUIRE_ALL=1)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, new_run_id

TESTS = Path(__file__).parent
SHARED = CHECKOUT.parent / "shared"
WINDOW = 256  # of the tiny models

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("kimi", deadline=None)
hypothesis.settings.load_profile("kimi")


TOGETHER = {
    "sandbox": "sandbox",  # warm workers: tests share them, kill some and count what is left
    "testcases": "sandbox",
    "inference": "inference",  # an engine
}
"""Folders whose tests one process runs in a row, by what they share."""
LONGEST = ("sandbox", "tests/lineage/test_smoke_run.py", "tests/rl/test_partial_job.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What one process runs in a row for longest comes first, so that the other has the rest to fill up with."""
    items.sort(key=lambda item: _in_a_row(item.nodeid) not in LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Under `-n`, each process takes file after file, or `TOGETHER` whole."""
    from xdist.scheduler import LoadScopeScheduling

    class InARow(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _in_a_row(nodeid)

    return InARow(config, log)


def _in_a_row(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return TOGETHER.get(file.split("/")[1], file)


class NoJobs:
    """A launcher for tests whose stages must not start a job."""

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        raise AssertionError(f"job {module} was started")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").prepare()


@pytest.fixture
def make_context(home: Home) -> Callable[..., Context]:
    """A context on the test's home; keyword arguments override settings (`corpora__limit=5`)."""

    def make(profile: str = "smoke", prompt_set: str = "smoke", launcher: Any = None, **changes: Any) -> Context:
        overrides = {name.replace("__", "."): value for name, value in changes.items()}
        return Context(
            home,
            Lake(home.lake),
            load_profile(profile, overrides),
            launcher or NoJobs(),
            new_run_id(),
            prompt_set,
            say=lambda text: None,
        )

    return make


def missing(what: str) -> None:
    """Skip with a reason; under REQUIRE_ALL=1 a missing engine, backend or browser is a failure."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1 and {what}")
    pytest.skip(what)


def require(*modules: str) -> None:
    """Go on only where these modules are installed (the base install has none of the engines)."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            missing(f"{module} is not installed")


@pytest.fixture
def shared_data() -> Path:
    """Real corpora beside the checkout; never a reason to fail."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two fresh tiny models of the same shape with different weights."""
    require("torch")
    from kimi_pipeline.models.tiny import save_tiny
    from kimi_pipeline.profiles.sections import Model

    folder = tmp_path_factory.mktemp("models")
    return [save_tiny(Model(layers=2, window=WINDOW), seed, folder / f"tiny-{seed}") for seed in (0, 1)]


@pytest.fixture(scope="session")
def carrier(tiny_models: list[Path]) -> Iterator[Any]:
    """One vLLM engine for all tests of the session; it serves the first tiny model unless a test swaps."""
    require("vllm")
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier
    from kimi_pipeline.profiles.sections import Inference

    made = VllmCarrier(tiny_models[0], Inference(max_num_seqs=64, kv_cache_gib=0.25), window=WINDOW, dtype="float32")
    yield made
    made.close()
