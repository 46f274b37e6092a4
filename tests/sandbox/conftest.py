"""What tests of the sandbox share: a backend of each kind, warm, one for the whole session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

import sandbox
from sandbox import BackendUnavailable, Sandbox, Verdict, WorkerSize
from tests.conftest import missing

SIZE = WorkerSize(memory_mb=1024, processes=64, disk_mb=64, files=4096)


@contextlib.contextmanager
def or_miss(what: str) -> Iterator[None]:
    """Where the machine has none of what the block makes, a skip with its reason (a failure under REQUIRE_ALL=1)."""
    try:
        yield
    except BackendUnavailable as error:
        missing(f"no {what}: {error}")
        raise


def open_or_miss(backend: str, **settings: object) -> Sandbox:
    """A sandbox of that backend, or a skip."""
    with or_miss(f"{backend} backend"):
        return sandbox.open(backend, size=SIZE, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="session", params=sandbox.BACKENDS)
def room(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox, once with each backend."""
    with open_or_miss(request.param, pool_size=2) as made:
        yield made


@pytest.fixture(scope="session")
def docker_room() -> Iterator[Sandbox]:
    with open_or_miss("docker", pool_size=2) as made:
        yield made


def only(verdicts: Iterator[Verdict]) -> Verdict:
    """The verdict of a run with one input."""
    (verdict,) = list(verdicts)
    return verdict
