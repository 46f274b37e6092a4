"""What tests of test cases share: a sandbox with CYaRon, one for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import sandbox
from kimi_pipeline.testcases.generating import cyaron_folder
from sandbox import BackendUnavailable, Sandbox
from tests.conftest import missing


@pytest.fixture(scope="session")
def box() -> Iterator[Sandbox]:
    with cyaron_folder() as folder:
        try:
            opened = sandbox.open("bubblewrap", pool_size=2, packages=folder)
        except BackendUnavailable as error:
            missing(f"no bubblewrap backend: {error}")
        with opened:
            yield opened
