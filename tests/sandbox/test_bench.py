"""The measurement itself: it counts right, refuses wrong runs, and says what it could not measure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

import pytest

import sandbox
from sandbox import BackendUnavailable, Sandbox, SandboxError
from sandbox.bench import LANGUAGES, Size, expected, measure, numbers, source
from sandbox.verdicts import Limits, Outcome, Verdict

TINY = Size(submissions=1, inputs=3, peer_inputs=1, arrivals=2, queued=10_000, finished=20)


def test_the_figures_of_a_tiny_measurement(room: Sandbox) -> None:
    name = room.backend.name
    probe = [sys.executable, "-m", "sandbox.bench", "{}"]
    found = measure(lambda _: sandbox.open(name, pool_size=2), [name], TINY, None, None, "the command", probe)
    assert set(found) == {"name", "figures", "peer", "ratio", "machine", "command"}
    figures = found["figures"]
    for language in LANGUAGES:
        assert figures[name][language]["runs_per_second"] > 0
        assert figures["subprocess_a_run"][language]["runs_per_second"] > 0
    assert figures[name]["queued_runs"] == 10_000 and figures[name]["queued_runs_finished"] == 20
    assert 0 < figures[name]["peak_memory_mb"] < 300
    assert figures[name]["arrivals_per_second"] == pytest.approx(figures[name]["refill_rate"] / 2, abs=0.01)
    ratios = [figures[name][language]["ratio"] for language in LANGUAGES]
    assert found["ratio"] == (None if None in ratios else min(ratios))
    json.dumps(found)


def test_a_backend_that_is_missing_is_named_and_alone_an_error() -> None:
    def none(name: str) -> Sandbox:
        raise BackendUnavailable(f"no {name} here")

    with pytest.raises(BackendUnavailable, match="no docker here"):
        measure(none, ["docker"], TINY, None, None, "", [])


def test_a_figure_of_wrong_runs_is_none(monkeypatch: pytest.MonkeyPatch, room: Sandbox) -> None:
    def wrong(self: Sandbox, program: str, language: str, inputs: Iterable[bytes], limits: Limits) -> Iterator[Verdict]:
        for index, _ in enumerate(inputs):
            yield Verdict(index, Outcome.OK, b"0\n")

    monkeypatch.setattr(Sandbox, "run", wrong)
    with pytest.raises(SandboxError, match="output 0 is"):
        measure(lambda name: sandbox.open(name, pool_size=1), [room.backend.name], TINY, None, None, "", [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_programs_do_what_is_expected_of_them(room: Sandbox, language: str) -> None:
    inputs = [numbers(3), numbers(4)]
    outputs = [verdict.stdout for verdict in room.run(source(language, 7), language, inputs)]
    assert outputs == [expected(7, text) for text in inputs]
    assert outputs[0] != outputs[1]
