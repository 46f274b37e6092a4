"""What every test may use: an empty home, a context on it, and skips that say why (or fail under REQUIRE_ALL=1)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, new_run_id

SHARED = CHECKOUT.parent / "shared"


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
