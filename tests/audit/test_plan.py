"""Plan: nothing where nothing changed, every reason by its name, and figures held against what the run then took."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline.audit import plan as module
from kimi_pipeline.audit.plan import plan
from kimi_pipeline.cli import main
from kimi_pipeline.lineage import STAGES
from tests.curation.conftest import Curation


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Callable[[Curation], dict[str, dict[str, Any]]]:
    """The plan of a scripted run, whose SFT checkpoint is a stage of the test's own."""

    def look(run: Curation) -> dict[str, dict[str, Any]]:
        monkeypatch.setattr(module, "STAGES", run.stages)
        return {row["stage"]: row for row in plan(run.context, "decision_ledger")}

    return look


def test_after_a_run_only_what_changed_is_planned_and_why(
    curation: Callable[..., Curation], planned: Callable[[Curation], dict[str, dict[str, Any]]]
) -> None:
    run = curation()
    first = planned(run)
    assert {row["state"] for row in first.values()} == {"compute"}
    assert first["corpus"]["because"] == "never computed"
    run.ready()
    assert {row["state"] for row in planned(run).values()} == {"unchanged"}
    stricter = planned(curation(curation__max_pass_rate=0.5))
    assert {name: row["because"] for name, row in stricter.items() if row["state"] == "compute"} == {
        "rl_prompt_set": "setting max_pass_rate",
        "decision_ledger": "rl_prompt_set is computed",
    }


def test_samples_and_tokens_come_near_what_the_run_takes(
    curation: Callable[..., Curation], planned: Callable[[Curation], dict[str, dict[str, Any]]]
) -> None:
    few = {"corpora__problems_per_family": 12, "corpora__evaluation_problems": 20}
    curation(curation__samples=4, **few).run()
    for settings in (
        {"curation__samples": 8, "inference__price_per_million_tokens": 3.0},
        {"curation__samples": 10, "checkpoint": "newer"},
        {"curation__samples": 12, "checkpoint": "newer", "curation__guess_temperature": 0.9},
    ):
        run = curation(**settings, **few)
        expected = planned(run)
        before = run.context.lake.rows("select count(*) n, sum(completion_tokens) t from samples")[0]
        run.run()
        after = run.context.lake.rows("select count(*) n, sum(completion_tokens) t from samples")[0]
        samples = sum(row["samples"] for row in expected.values())
        tokens = sum(row["tokens"] for row in expected.values())
        assert samples == pytest.approx(after["n"] - before["n"], rel=0.25)
        assert tokens == pytest.approx(after["t"] - before["t"], rel=0.25)
        price = run.context.profile.inference.price_per_million_tokens
        assert sum(row["money"] for row in expected.values()) == pytest.approx(tokens * price / 1e6, abs=1e-3)


def test_the_command_plans_a_first_run_and_writes_nothing(tmp_path: Any) -> None:
    told = CliRunner().invoke(main, ["plan", "--profile", "smoke", "--json"], env={"KIMI_HOME": str(tmp_path / "home")})
    assert told.exit_code == 0, told.output
    assert [row["stage"] for row in json.loads(told.output)] == list(STAGES)
    assert not (tmp_path / "home").exists()


def test_a_run_beyond_its_limit_asks_first(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("kimi_pipeline.cli.running._dagster", lambda *given: started.append(given) or 1)
    env = {"KIMI_HOME": str(tmp_path / "home")}
    command = ["run", "--profile", "smoke", "--limit", "50", "--set", "limits.ask_above_tokens=1000"]
    refused = CliRunner().invoke(main, command, env=env)
    assert (refused.exit_code, refused.output.count("\n"), started) == (2, 1, [])
    assert "more than limits.ask_above_tokens (1,000)" in refused.output and "--yes" in refused.output
    CliRunner().invoke(main, [*command, "--yes"], env=env)
    CliRunner().invoke(main, [*command[:-1], "limits.ask_above_tokens=100000000"], env=env)
    assert len(started) == 2


@pytest.mark.parametrize("command", [["plan"], ["run", "--set", "limits.ask_above_tokens=1"]])
def test_a_wrong_selection_is_one_line_and_spaces_are_none_of_it(tmp_path: Any, command: list[str]) -> None:
    env = {"KIMI_HOME": str(tmp_path / "home")}
    wrong = CliRunner().invoke(main, [*command, "--profile", "smoke", "--select", "corpus, dificulty"], env=env)
    assert (wrong.exit_code, wrong.output) == (2, "error: unknown stage 'dificulty': did you mean 'difficulty'?\n")
    spaced = CliRunner().invoke(main, ["plan", "--select", " duplicates, corpus", "--json"], env=env)
    assert [row["stage"] for row in json.loads(spaced.output)] == ["corpus", "duplicates"]
