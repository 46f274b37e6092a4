"""The chaos bench: rounds are drawn fairly, a home that is wrong is found out, the injections do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.bench import chaos, chaos_faults, chaos_judging
from kimi_pipeline.bench.chaos_faults import KINDS, Round, draw_rounds
from kimi_pipeline.bench.chaos_judging import RESULTS, State, committed_samples, state_of, wrong_with
from kimi_pipeline.bench.chaos_runs import Ended, said_wrong
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import Problem

FUNNEL = [
    {"stage": "ingest", "in": 3, "out": 2, "refused": {"too_long": 1}},
    {"stage": "selection", "in": 2, "out": 2, "refused": {}},
]


def test_rounds_are_balanced_and_follow_from_the_seed() -> None:
    rounds = draw_rounds(20, 0)
    assert Counter(one.kind for one in rounds) == dict.fromkeys(KINDS, 4)
    assert rounds == draw_rounds(20, 0)
    assert rounds[:7] == draw_rounds(7, 0)  # so that more rounds go on from fewer
    assert rounds != draw_rounds(20, 1)
    assert all(0 < one.moment < 1 for one in rounds)
    assert {one.kind for one in draw_rounds(20, 0, KINDS[:2])} == set(KINDS[:2])


# -- judging ------------------------------------------------------------------------------------------------------------


def sample(number: int, **changes: Any) -> dict[str, Any]:
    same = {"problem_id": "p", "purpose": "difficulty", "sample_index": number, "text": f"answer {number}"}
    return {"sample_id": f"s{number}"} | same | changes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, str], State]:
    """A home as a whole run leaves it, as far as judging looks; its samples, and its state."""
    home = Home(tmp_path_factory.mktemp("chaos") / "home").prepare()
    lake = Lake(home.lake)
    options = {"run_id": "a", "reason": "r"}
    problems = [Problem("s", str(k), f"What is {k}?", "1", "integer").row() for k in range(2)]
    lake.append(tables.PROBLEMS, problems, **options)
    lake.append(tables.SAMPLES, [sample(0), sample(1)], **options)
    members = [{"prompt_set": "smoke", "version": 1, "problem_id": row["problem_id"]} for row in problems]
    lake.append(tables.PROMPT_SET, members, **options)
    version = {
        "prompt_set": "smoke",
        "version": 1,
        "size": 2,
        "digest": "d",
        "manifest": json.dumps({"funnel": FUNNEL}),
    }
    lake.append(tables.PROMPT_SET_VERSIONS, [version], **options)
    results = [{"checkpoint": stage, "stage": stage, "temperature": t, "split": "x"} for stage, t in sorted(RESULTS)]
    lake.append(tables.RESULTS, results, **options)
    return home, committed_samples(home), state_of(home)


@pytest.fixture
def right(made: tuple[Home, dict[str, str], State], tmp_path: Path) -> tuple[Home, dict[str, str], State]:
    """A copy of it, to spoil."""
    whole, before, expected = made
    return Home(Path(shutil.copytree(whole.root, tmp_path / "home"))), before, expected


Spoil = Callable[[Home, Lake], object]


def again(lake: Lake, rows: list[dict[str, Any]]) -> None:
    lake.append(tables.SAMPLES, rows, run_id="b", reason="spoiled")


def instead(lake: Lake, rows: list[dict[str, Any]]) -> None:
    lake.replace(tables.SAMPLES, rows, where=None, run_id="b", reason="spoiled")


def other_problem(home: Home, lake: Lake) -> None:
    lake.append(tables.PROBLEMS, [Problem("s", "9", "One more?", "1", "integer").row()], run_id="b", reason="spoiled")


def fewer_results(home: Home, lake: Lake) -> None:
    lake.replace(tables.RESULTS, [], where="stage = 'rl'", run_id="b", reason="spoiled")


def another_member(home: Home, lake: Lake) -> None:
    row = {"prompt_set": "smoke", "version": 1, "problem_id": "z"}
    lake.append(tables.PROMPT_SET, [row], run_id="b", reason="spoiled")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda home, lake: again(lake, [sample(1)]), "1 sample ids stand there twice, as s1"),
        (lambda home, lake: instead(lake, [sample(0)]), "1 committed samples are lost, as s1"),
        (
            lambda home, lake: instead(lake, [sample(0), sample(1, text="other")]),
            "1 committed samples have changed, as s1",
        ),
        (other_problem, "problems has another content"),
        (fewer_results, "no results of [('rl', 0.0), ('rl', 1.0)]"),
        (another_member, "funnel: 2 leave it, the set has 3"),
        (lambda home, lake: (home.root / "checkpoints/.sft-1a2b").mkdir(), "left over: checkpoints/.sft-1a2b"),
        (lambda home, lake: (home.root / "staging/0f").mkdir(parents=True), "left over: staging/0f"),
        (lambda home, lake: (home.reports / "plot.tmp").touch(), "left over: reports/plot.tmp"),
        (lambda home, lake: (home.dagster / ".dagster.yaml-7").touch(), "left over: dagster/.dagster.yaml-7"),
    ],
)
def test_what_is_wrong_with_a_home_is_found(right: tuple[Home, dict[str, str], State], spoil: Spoil, told: str) -> None:
    home, before, expected = right
    exact = set(expected.digests)
    assert wrong_with(home, before, expected, exact) == []
    spoil(home, Lake(home.lake))
    assert told in wrong_with(home, before, expected, exact)


def test_of_what_is_not_reproducible_the_counts_must_agree(right: tuple[Home, dict[str, str], State]) -> None:
    home, before, expected = right
    again(Lake(home.lake), [sample(2)])
    wrong = wrong_with(home, before, expected, set(expected.digests) - {"samples"})
    assert "samples: 3 instead of 2" in wrong
    assert any(line.startswith("samples by problem: ") for line in wrong)


def test_content_leaves_out_seconds_and_nothing_that_counts() -> None:
    left_out = {
        "ledger": {"checkpoint", "parameters", "actor"},
        "prompt_set_versions": {"manifest"},
        "samples": set(tables.SAMPLES.schema.names) - {"sample_id", "text", "status", "reward"},
        "stages": {"inputs", "outputs", "metadata"},
        "submission_runs": {"cpu_seconds", "detail", "image", "purpose", "label", "exit_code"},
    }
    for name, query in chaos_judging.CONTENT.items():
        table = tables.TABLES[name]
        for column in set(table.schema.names) - set(table.volatile) - left_out[name]:
            assert column in query


def test_a_run_must_say_in_one_line_how_it_ended() -> None:
    died = Round(1, "dead_engine", 0.5, {"target": "job"})
    line = "failed: difficulty: job x was killed by SIGKILL"
    assert said_wrong(died, "job", Ended(1, f"difficulty: asks\n{line}\n", 9.0)) == []
    assert said_wrong(died, "job", Ended(0, "", 9.0)) == ["a job died and the run ended with 0"]
    assert said_wrong(died, "job", Ended(None, "", 9.0)) == ["the disturbed run did not end"]
    assert "it ended with a traceback" in said_wrong(died, "job", Ended(1, f"Traceback (most\n{line}", 9.0))
    full = replace(died, kind="full_disk")
    assert said_wrong(full, "the disk", Ended(2, "error: no disk space for table tags: free some", 9.0)) == []
    assert said_wrong(full, "the disk", Ended(1, "failed: tags: something", 9.0))
    assert said_wrong(replace(died, kind="clock"), "the clock", Ended(1, line, 9.0)) == [f"it failed: {line}"]
    assert said_wrong(replace(died, kind="kill"), "run", Ended(-9, "", 9.0)) == []
    assert (
        Ended(1, "corpus: unchanged\ntagger: learns\n  job: corpus: 1\nsft_corpus: unchanged\n", 9.0).stage == "tagger"
    )
    assert Ended(1, f"difficulty: asks\ntagger: learns\n{line}\n", 9.0).stage == "difficulty"


# -- injection ----------------------------------------------------------------------------------------------------------


def injected(code: str, fault: Round, home: Path, at: float) -> str:
    """What a Python process prints that the fault is injected into."""
    extra = chaos_faults.environment(fault, at, home, home / "told.jsonl")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KIMI_HOME": str(home)} | extra,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CLOCK = """
import time
from kimi_pipeline import clock, curation
from kimi_pipeline.curation import deciding
print(time.time(), clock.now().timestamp(), deciding.now().timestamp(), time.time_ns() / 1e9)
"""


@pytest.mark.parametrize(("hours", "begins_in", "seen"), [(-5.0, -1, -18000), (30.0, -1, 108000), (30.0, 3600, 0)])
def test_a_process_sees_the_clock_jump(tmp_path: Path, hours: float, begins_in: float, seen: float) -> None:
    fault = Round(1, "clock", 0.5, {"hours": hours})
    told = injected(CLOCK, fault, tmp_path, time.monotonic() + begins_in)
    for moment in map(float, told.split()):
        assert abs(moment - time.time() - seen) < 60


SLOW = """
import os, pathlib, sys, time
from kimi_pipeline import tables
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import Problem
home = Home.from_env()
lake = Lake(home.lake)
began = time.monotonic()
lake.append(tables.PROBLEMS, [Problem('s', '1', 'Why?', '1', 'integer').row()], run_id='a', reason='r')
print(time.monotonic() - began, len(lake.read(tables.PROBLEMS)))
began = time.monotonic()
(home.root / 'a').touch()
os.replace(home.root / 'a', home.root / 'b')
print(time.monotonic() - began, (home.root / 'b').exists())
"""


def test_a_process_writes_slowly_and_tells_before_it_waits(tmp_path: Path) -> None:
    fault = Round(1, "slow_storage", 0.5, {"seed": 7})
    rows = [line.split() for line in injected(SLOW, fault, tmp_path, time.monotonic() - 1).splitlines()]
    assert [row[1] for row in rows] == ["1", "True"]  # what is written is written all the same
    assert all(float(row[0]) >= 1.0 for row in rows)
    told = [json.loads(line)["what"] for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert told == ["commit to lake/problems", "rename to b"]


def test_the_same_process_without_the_variable_is_itself(tmp_path: Path) -> None:
    assert chaos_faults.environment(Round(1, "kill", 0.5, {}), 0.0, tmp_path, tmp_path) == {}
    code = "import time, os; print(time.time.__name__, os.replace.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(chaos_faults.INJECTION)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["time", "replace"]


# -- rounds -------------------------------------------------------------------------------------------------------------


def test_a_finished_round_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def round_of(self: chaos.Bench, one: Round) -> dict[str, Any]:
        ran.append(one.number)
        return {"round": one.number, "kind": one.kind, "right": one.number != 2, "wrong": []}

    monkeypatch.setattr(chaos.Bench, "_round", round_of)
    monkeypatch.setattr(chaos.Bench, "_reference", lambda self, kept: (State({}, {}), set(), 60.0))
    rounds = draw_rounds(4, 0)
    chaos.Bench(tmp_path, 0).run(rounds[:3])
    found = chaos.Bench(tmp_path, 0).run(rounds)
    assert ran == [1, 2, 3, 4]
    assert [row["right"] for row in found] == [True, False, True, True]
    chaos.Bench(tmp_path, 1).run(rounds[:1])
    assert ran[4:] == [1]
