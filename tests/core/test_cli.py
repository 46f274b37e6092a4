from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kimi_pipeline import doctor
from kimi_pipeline.cli import main
from kimi_pipeline.cli.running import settings_of
from kimi_pipeline.profiles import load_profile


def run(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments), env={"KIMI_HOME": str(home), "KIMI_SET": "", "KIMI_PROFILE": ""})
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--profile", "nope"], "unknown profile 'nope'"),
        (["run", "--set", "rl.iterations=0"], "rl.iterations"),
        (["run", "--set", "rl.iterations"], "section.field=value"),
        (["run", "--model", "/nowhere"], "model folder /nowhere does not exist"),
        (["explain", "abc"], "there are no problems yet"),
        (["funnel"], "no prompt set has been cut yet"),
        (["doctor", "--profile", "nope"], "unknown profile"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, output = run(tmp_path, *arguments)
    assert code == 2
    assert words in output
    assert output.startswith("error: ")
    assert output.count("\n") == 1


def test_a_model_folder_without_tokenizer_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    code, output = run(tmp_path, "run", "--model", str(folder))
    assert code == 2
    assert "has no tokenizer" in output


def test_an_unwritable_home_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = run(tmp_path / "file" / "home", "run", "--profile", "smoke")
    assert code == 2
    assert "set KIMI_HOME" in output


def test_lists_are_empty_before_the_first_run(tmp_path: Path) -> None:
    assert run(tmp_path, "sets", "--json") == (0, "[]\n")
    assert run(tmp_path, "results", "--json") == (0, "[]\n")


def test_reading_commands_import_neither_dagster_nor_torch() -> None:
    code = (
        "import sys, kimi_pipeline.audit.explain, kimi_pipeline.audit.funnel, kimi_pipeline.audit.results, kimi_pipeline.cli;"
        "print({'dagster', 'torch', 'vllm', 'transformers', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_settings_explains_every_field(tmp_path: Path) -> None:
    code, output = run(tmp_path, "settings", "laptop")
    assert code == 0
    assert "rl.tau" in output


@pytest.mark.parametrize(
    ("given", "sources", "suites"),
    [
        ([], None, None),
        (
            ["https://example.com/a.jsonl", "s3://bucket/b.parquet"],
            ["https://example.com/a.jsonl", "s3://bucket/b.parquet"],
            [],
        ),
        (["c.jsonl"], [f"{Path.cwd()}/c.jsonl"], []),  # built-in coding problems are no part of a corpus of one's own
        (["builtin", "c.jsonl"], ["builtin", f"{Path.cwd()}/c.jsonl"], None),
        (["coding"], ["coding"], None),
    ],
)
def test_sources_are_named_as_any_folder_understands_them(
    given: list[str], sources: list[str] | None, suites: list[str] | None
) -> None:
    settings, changes = settings_of(None, (), tuple(given), (), None, None, None, None, None)
    assert changes.get("corpora.sources") == sources
    assert changes.get("testcases.problems") == suites
    assert bool(settings.testcases.problems) == (suites is None)


def test_suites_that_are_asked_for_are_made_beside_a_corpus_of_ones_own() -> None:
    asked = ('testcases.problems=["max_subarray"]',)
    settings, _ = settings_of(None, asked, ("c.jsonl",), (), None, None, None, None, None)
    assert settings.testcases.problems == ["max_subarray"]


@pytest.mark.parametrize("command", ["run", "plan", "ui"])
def test_settings_in_the_environment_that_are_no_json_are_one_line(tmp_path: Path, command: str) -> None:
    told = CliRunner().invoke(main, [command], env={"KIMI_HOME": str(tmp_path), "KIMI_SET": "rl.iterations=40"})
    assert (told.exit_code, told.output.count("\n")) == (2, 1)
    assert told.output.startswith("error: KIMI_SET is not JSON")


def test_the_ui_starts_with_the_settings_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr("kimi_pipeline.cli.running._dagster", lambda *given: started.append(given) or 0)
    words = ["ui", "--set", "nights.until=", "--set", "nights.token_budget=7"]
    env = {"KIMI_HOME": str(tmp_path), "KIMI_SET": '{"nights.token_budget": 5, "maintenance.keep_hours": 1}'}
    assert CliRunner().invoke(main, words, env=env).exit_code == 0
    changes = {"nights.token_budget": 7, "maintenance.keep_hours": 1, "nights.until": None}
    assert started[0][0] == "assets.ui" and started[0][3] == changes


def test_settings_tells_of_the_seed_as_well(tmp_path: Path) -> None:
    assert "\nseed " in run(tmp_path, "settings", "laptop")[1]


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({"testcases.problems": []}, None),
        ({}, False),
        ({"testcases.problems": [], "corpora.families": ["register", "programs"]}, False),
    ],
)
def test_the_doctor_needs_a_sandbox_where_there_is_code(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], ok: bool | None
) -> None:
    found = [doctor.Finding("sandbox", False, "no backend works")]
    monkeypatch.setattr("sandbox.doctor.examine", lambda *_, **__: found)
    assert [one.ok for one in doctor._sandbox(load_profile("laptop", changes))] == [ok]


def test_a_re_estimation_whose_job_dies_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise RuntimeError("job sampling failed with exit code -9: its output is above")

    monkeypatch.setattr("kimi_pipeline.nights.target.choose_target", lambda *_: None)
    monkeypatch.setattr("kimi_pipeline.nights.reestimation.look", lambda *_: None)
    monkeypatch.setattr("kimi_pipeline.nights.reestimation.reestimate", dies)
    code, output = run(tmp_path, "reestimate", "--profile", "smoke")
    assert (code, output) == (1, "failed: job sampling failed with exit code -9: its output is above\n")
    assert run(tmp_path, "reestimate", "--select", "tags")[0] == 2


def test_maintenance_keeps_what_the_profile_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr(
        "kimi_pipeline.maintenance.tidying.tidy", lambda *_, keep_hours, **__: kept.append(keep_hours) or []
    )
    env = {"KIMI_HOME": str(tmp_path), "KIMI_SET": '{"maintenance.keep_hours": 5}'}
    for words in (["maintain"], ["maintain", "--keep-hours", "0"]):
        assert CliRunner().invoke(main, words, env=env).exit_code == 0
    assert kept == [5, 0]


def test_seeds_of_ablations_are_read_as_those_of_benches(tmp_path: Path) -> None:
    code, output = run(tmp_path, "ablations", "--seeds", "0, x", "--look")
    assert (code, output) == (2, "error: --seeds '0, x': write whole numbers with commas, as in 0,1,2\n")
