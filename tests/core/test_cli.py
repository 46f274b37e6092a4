from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kimi_pipeline.cli import main
from kimi_pipeline.cli.running import settings_of


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
