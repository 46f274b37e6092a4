"""`bench audit` on a lake of a few hundred problems: every command answers, and the version rebuilds equal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from click.testing import CliRunner

from kimi_pipeline.bench import audit
from kimi_pipeline.cli import main
from kimi_pipeline.home import Home


def test_every_command_answers_and_the_version_rebuilds_equal(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(place: Home, command: Sequence[str]) -> str:  # in this process: what is measured elsewhere is a whole one
        asked.append(command[0])
        found = CliRunner().invoke(main, [*command, "--json"], env={"KIMI_HOME": str(place.root)})
        assert found.exit_code == 0, found.output
        return found.stdout

    monkeypatch.setattr(audit, "_run", run)
    monkeypatch.setattr(audit, "RUNS", 1)
    found = audit.measure(home, [400])["figures"]
    assert set(asked) == {"explain", "diff", "funnel", "cost", "rebuild"}
    assert found["rebuild"]["400"]["equal"]
    assert found["rows"]["400"]["samples"] > 20 * found["rows"]["400"]["problems"] / 2
    assert found["growth"].keys() == found["seconds"]["400"].keys()
