"""Assets made from stages: what the graph says, what a materialisation shows, what run config changes."""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg
import pytest

from assets.definitions import build_defs
from assets.factory import pool
from assets.jobs import WHOLE
from assets.launch import exit_code
from assets.run_config import EVERYDAY, config_class, given_changes
from assets.shown import MOST_FIGURES, markdown_table
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, Outcome, code_version
from resources import SandboxResource
from tests.dagster.conftest import Materialise
from tests.dagster.fakes import LINEAGE, breaks, refuses, runs_job, with_compute


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    events = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in events[0].metadata.items()}


def test_definitions_are_there_without_waiting_for_what_only_jobs_need() -> None:
    heavy = {"torch", "vllm", "deepspeed", "transformers", "datasets", "mlflow", "sklearn", "scipy", "pandas"}
    program = f"import assets.definitions, sys; print(sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert said.stdout.strip() == "[]"


def test_graph_has_what_the_stages_say(home: Home) -> None:
    defs = build_defs(lineage=LINEAGE, sets=["default", "smoke"])
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == {*LINEAGE, "nightly_estimates", "nightly_versions"}
    spec = specs["difficulty"]
    assert spec.group_name == "curation" and {"python", "vllm"} <= spec.kinds and spec.owners == ["team:models"]
    assert [dep.asset_key.to_user_string() for dep in spec.deps] == ["corpus"]
    assert spec.code_version == code_version(())
    assert specs["corpus"].metadata["dagster/column_schema"].columns[0].name == "problem_id"
    assert specs["corpus"].partitions_def is None
    assert specs["rl_prompt_set"].partitions_def == dg.StaticPartitionsDefinition(["default", "smoke"])
    assert defs.resolve_assets_def("difficulty").op.pool == "gpu"
    jobs = {job.name for job in defs.resolve_all_job_defs()}
    assert {WHOLE, "materialise_corpus", "materialise_rl_checkpoint"} <= jobs


@pytest.mark.parametrize(
    ("stage", "without", "changes"),
    [
        ("problem_tags", None, {"curation.model_tags": "all"}),
        ("rich_reasoning", None, {"curation.min_steps": 3, "curation.steps_by": "model"}),
        ("test_case_generators", None, {"testcases.writer": "model"}),
        ("output_checkers", "sandbox", {"testcases.writer": "model", "testcases.special_judge": "checker"}),
    ],
)
def test_a_stage_that_asks_a_model_under_a_profile_waits_for_the_pool_of_models(
    stage: str, without: str | None, changes: dict[str, object]
) -> None:
    assert pool(STAGES[stage], load_profile("smoke")) == without
    assert pool(STAGES[stage], load_profile("smoke", changes)) == "gpu"


def test_a_materialisation_shows_figures_rows_preview_plot_and_links(materialise: Materialise) -> None:
    result = materialise(select=["corpus"], prompt_set=None)
    assert result.success
    event = result.asset_materializations_for_node("corpus")[0]
    assert event.tags is not None and event.tags["dagster/data_version"] == "corpus-3"
    values = shown(result, "corpus")
    assert values["problems"] == 3 and values["share"] == 0.25
    assert values["dagster/row_count"] == 3 and values["rows in quarantine"] == 0
    assert sum(isinstance(value, int | float) for value in values.values()) == MOST_FIGURES
    assert str(values["histogram"]).startswith("![histogram](data:image/png;base64,")
    assert "\\|xxx" in str(values["preview"]) and "…" in str(values["preview"])
    assert isinstance(event.metadata["folder"], dg.PathMetadataValue)
    assert values["computed"] == "yes" and str(values["profile"]).startswith("smoke")


def test_unchanged_work_is_not_repeated(materialise: Materialise) -> None:
    materialise()
    again = materialise()
    assert all(str(shown(again, stage)["computed"]).startswith("no") for stage in LINEAGE)


def test_one_run_of_one_set_holds_partitioned_and_other_assets(
    materialise: Materialise, instance: dg.DagsterInstance
) -> None:
    result = materialise(prompt_set="default")
    assert result.success
    partitions = {name: result.asset_materializations_for_node(name)[0].partition for name in LINEAGE}
    assert partitions == dict.fromkeys(LINEAGE, None) | {"rl_prompt_set": "default", "rl_checkpoint": "default"}
    tags = result.asset_materializations_for_node("rl_prompt_set")[0].tags
    assert tags is not None and tags["dagster/data_version"] == "default-2"


def test_run_config_reaches_the_profile_of_the_whole_run(materialise: Materialise, home: Home) -> None:
    result = materialise(config={"difficulty": {"samples": 17}, "corpus": {"limit": 5}})
    assert shown(result, "difficulty")["samples"] == 17
    assert shown(result, "corpus")["dagster/row_count"] == 5
    assert shown(result, "rl_prompt_set")["samples in force"] == 17
    inputs = Lake(home.lake).rows("select inputs from stages where stage = 'difficulty'")[0]["inputs"]
    assert json.loads(inputs)["settings"] == {"samples": 17}


def test_a_value_out_of_range_names_the_field(materialise: Materialise, capsys: pytest.CaptureFixture[str]) -> None:
    result = materialise(select=["corpus", "difficulty"], prompt_set=None, config={"difficulty": {"samples": 0}})
    assert exit_code(result) == 2
    assert "curation.samples: Input should be greater than or equal to 1, not 0" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["nights.cron", "maintenance.cron"])
def test_a_cron_that_dagster_does_not_know_is_named(home: Home, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("KIMI_SET", json.dumps({setting: "1am"}))
    with pytest.raises(UserError, match=f"{setting} = '1am'"):
        build_defs(lineage=LINEAGE, sets=["default"])


def test_refused_input_fails_with_its_line(materialise: Materialise, capsys: pytest.CaptureFixture[str]) -> None:
    result = materialise(with_compute("corpus", refuses))
    assert not result.success
    failure = result.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert failure is not None and str(failure.description).startswith("source file words.jsonl")
    assert exit_code(result) == 2
    assert capsys.readouterr().err == "error: source file words.jsonl does not exist: give the path of a file\n"
    assert not result.asset_materializations_for_node("rl_prompt_set")


def test_a_missing_upstream_outcome_is_named(materialise: Materialise, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(materialise(select=["difficulty"], prompt_set=None)) == 2
    assert "corpus has not been materialised" in capsys.readouterr().err


def test_a_defect_shows_its_traceback(materialise: Materialise, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(materialise(with_compute("corpus", breaks))) == 1
    err = capsys.readouterr().err
    assert "failed: corpus" in err and "ZeroDivisionError: a defect" in err and "in breaks" in err


@pytest.mark.parametrize(
    ("mode", "code", "line"),
    [
        ("refuse", 2, "error: model folder nowhere does not exist"),
        (
            "crash",
            1,
            "job tests.dagster.fake_job failed with exit code 1: its output is above (in the UI: under stderr)",
        ),
        ("killed", 1, "job tests.dagster.fake_job was killed by SIGKILL (out of memory?)"),
    ],
)
def test_a_job_that_fails_says_so_in_one_line(
    materialise: Materialise, capfd: pytest.CaptureFixture[str], mode: str, code: int, line: str
) -> None:
    result = materialise(with_compute("corpus", runs_job(mode)), ["corpus"], None)
    assert exit_code(result) == code
    assert line in capfd.readouterr().err


def test_a_job_reports_to_the_run(materialise: Materialise, instance: dg.DagsterInstance) -> None:
    result = materialise(with_compute("evaluation_problems", runs_job("fine")), ["evaluation_problems"], None)
    assert result.success and shown(result, "evaluation_problems")["answer"] == 42
    log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "hello from the job" in log


def test_every_everyday_setting_is_a_field_of_the_profile() -> None:
    profile = load_profile("smoke", {})
    for stage, settings in EVERYDAY.items():
        config = config_class(stage, profile)
        assert config is not None and len(config.model_fields) == len(settings)
        for name, field in config.to_fields_dict().items():
            setting = next(s for s in settings if s.endswith(f".{name}"))
            section = setting.split(".")[0]
            assert field.default_value == getattr(getattr(profile, section), name)
            assert field.description and field.description.endswith(f"({setting})")
    assert config_class("decision_ledger", profile) is None


def test_given_changes_are_everyday_settings_that_differ_from_what_was_shown() -> None:
    profile = load_profile("smoke", {})
    shown = {"samples": 3, "temperature": profile.curation.temperature}
    given = {"ops": {"difficulty": {"config": shown}, "other": {"config": {"samples": 4}}}, "loggers": {}}
    assert given_changes(given, profile) == {"curation.samples": 3}
    assert given_changes({}, profile) == {}


def test_a_preview_keeps_to_its_columns() -> None:
    assert markdown_table([{"a": 1, "b": None}, {"a": 0.123456}]) == "| a | b |\n| --- | --- |\n| 1 |  |\n| 0.1235 |  |"


def test_what_is_set_on_the_sandbox_resource_reaches_the_stages(home: Home, instance: dg.DagsterInstance) -> None:
    seen: list[tuple[str, int]] = []

    def looks(context: Context) -> Outcome:
        seen.append((context.profile.sandbox.backend, context.profile.sandbox.pool_size))
        return Outcome("1")

    defs = build_defs({"sandbox": SandboxResource(pool_size=7)}, with_compute("corpus", looks), ["smoke"])
    job = defs.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey("corpus")
    assert job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False) is not None
    assert seen == [("auto", 7)]
