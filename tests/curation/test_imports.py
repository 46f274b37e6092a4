"""Samples made elsewhere: three formats, matching by id and by prompt, our verdicts, nothing twice, nothing half."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from kimi_pipeline import tables
from kimi_pipeline.checkpoints import save_checkpoint
from kimi_pipeline.cli import main
from kimi_pipeline.curation.imports import Conditions, import_samples
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.drawing import model_checkpoint
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import Problem
from tests.curation.conftest import Curation

WHO = Conditions("ckpt", "chat-reasoning@1", 1.0, 64)
PROBLEMS = [Problem("mine", str(n), f"What is {n} plus one?", str(n + 1), "integer") for n in range(4)]


@pytest.fixture
def lake(home: Home) -> Lake:
    lake = Lake(home.lake)
    proof = Problem("mine", "9", "Prove it.", "", "none")
    lake.append(tables.PROBLEMS, [one.row() for one in [*PROBLEMS, proof]], run_id="r", reason="test")
    return lake


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def take(lake: Lake, home: Home, path: Path, format: str = "jsonl") -> dict[str, Any]:
    return import_samples(lake, home.root / "staging", path, format, WHO, run_id="r")


def test_rows_are_matched_verified_and_never_stored_twice(lake: Lake, home: Home, tmp_path: Path) -> None:
    rows: list[Any] = [
        {
            "problem_id": PROBLEMS[0].problem_id,
            "responses": ["\\boxed{1}", "\\boxed{1}", "\\boxed{7}"],
            "rewards": [1, 0, 1],
        },
        {"prompt": "what  is 1 plus one?".replace("w", "W"), "response": "so \\boxed{2}", "finish_reason": "stop"},
        {"prompt": PROBLEMS[2].prompt, "response": "\\boxed{3}", "finish_reason": "length", "max_tokens": 8},
        {"prompt": "Who knows?", "response": "\\boxed{0}"},
        {"prompt": "Prove it.", "response": "QED"},
        {"prompt": PROBLEMS[3].prompt},
        "not json",
        "[1]",
    ]
    path = write(tmp_path / "r.jsonl", rows)
    found = take(lake, home, path)
    assert (found["rows"], found["imported"], found["known"], found["problems"]) == (10, 5, 0, 3)
    assert found["quarantined"] == {
        "no_response": 1, "invalid_json": 1, "not_an_object": 1, "unknown_problem": 1, "unverifiable_answer": 1,
    }  # fmt: skip
    assert (found["compared"], found["disagreements"]) == (
        3,
        {"ours right, theirs not": 1, "theirs right, ours not": 1},
    )
    stored = lake.rows("select * from samples order by problem_id, sample_index")
    assert [row["sample_index"] for row in stored if row["problem_id"] == PROBLEMS[0].problem_id] == [0, 1, 2]
    assert {(row["purpose"], row["checkpoint"], row["carrier"]) for row in stored} == {("imported", "ckpt", "import")}
    assert {row["max_tokens"] for row in stored} == {8, 64}
    quarantined = lake.rows("select source, count(*) n from quarantine group by 1")
    assert quarantined == [{"source": "samples/r.jsonl", "n": 5}]
    # The same file again, and under another name: nothing new. A longer one: only what is new.
    assert (again := take(lake, home, path))["imported"] == 0 and again["known"] == 5
    more = [*rows, {"prompt": PROBLEMS[3].prompt, "response": "\\boxed{4}"}]
    assert take(lake, home, write(tmp_path / "s.jsonl", more))["imported"] == 1
    assert len({row["sample_id"] for row in lake.rows("select sample_id from samples")}) == 6


def test_trl_and_verl_files(lake: Lake, home: Home, tmp_path: Path) -> None:
    asked = f"{PROBLEMS[1].prompt}\n\nThink step by step, then put the final answer in \\boxed{{}}."
    messages = {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": "\\boxed{2}"}],
        "accuracy_reward": 1.0,
        "format_reward": 0.0,
    }
    table = pa.Table.from_pylist([messages, {**messages, "accuracy_reward": 0.0}])
    pq.write_table(table, tmp_path / "completions.parquet")
    found = take(lake, home, tmp_path / "completions.parquet", "trl")
    assert (found["imported"], found["compared"]) == (2, 2)
    assert found["disagreements"] == {"ours right, theirs not": 1}
    dumped = [
        {
            "input": f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n",
            "output": "\\boxed{3}",
            "score": -1.0,
        },
        {"input": f"system\nBe brief.\nuser\n{PROBLEMS[2].prompt}\nassistant\n", "output": "\\boxed{3}", "score": 1.0},
        {"input": "", "output": "I can not say.", "extra_info": {"problem_id": PROBLEMS[3].problem_id}},
    ]
    with gzip.open(tmp_path / "1.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in dumped))
    found = take(lake, home, tmp_path / "1.jsonl.gz", "verl")
    assert (found["imported"], found["disagreements"], found["quarantined"]) == (3, {}, {})
    assert found["statuses"] == {"wrong": 1, "correct": 1, "no_answer": 1}


def test_a_file_that_ends_in_the_middle_leaves_nothing(lake: Lake, home: Home, tmp_path: Path) -> None:
    row = json.dumps({"prompt": PROBLEMS[0].prompt, "response": "\\boxed{1}"}) + "\n"
    whole = gzip.compress((row * 5000).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut.jsonl.gz can't be read to its end .*: nothing of it was imported"):
        take(lake, home, tmp_path / "cut.jsonl.gz")
    assert lake.version(tables.SAMPLES) is None and not list((home.root / "staging").iterdir())
    with pytest.raises(UserError, match="does not exist"):
        take(lake, home, tmp_path / "none.jsonl")


def test_a_run_draws_only_what_was_not_imported(curation: Callable[..., Curation], tmp_path: Path) -> None:
    run = curation(corpora__problems_per_family=15, checkpoint=model_checkpoint("my-model"))
    run.run("contamination")
    problems = run.context.lake.rows("select distinct problem_id, answer from problems where planted = 'not_guessable'")
    rows = [{"problem_id": row["problem_id"], "responses": [f"\\boxed{{{row['answer']}}}"] * 10} for row in problems]
    path = write(tmp_path / "training.jsonl", rows)
    arguments = ["samples", "import", str(path), "--checkpoint", "my-model", "--profile", "smoke", "--json"]
    told = CliRunner().invoke(main, arguments, env={"KIMI_HOME": str(run.context.home.root)})
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["imported"] == len(rows) * 10
    figures = run.run("difficulty")["difficulty"].figures
    assert figures["samples_imported"] > 0
    assert figures["samples_imported"] + figures["samples_drawn"] == figures["problems"] * 10


def test_a_checkpoint_is_named_without_doubt_or_taken_as_a_models_name(lake: Lake, home: Home, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"problem_id": PROBLEMS[0].problem_id, "response": "\\boxed{1}"}])
    made = [
        save_checkpoint(home.checkpoints, "sft", lambda folder, n=n: (folder / "config.json").write_text(f'"{n}"'))
        for n in range(17)  # two of them begin alike
    ]
    first = Counter(one.digest[0] for one in made).most_common(1)[0][0]

    def taken(name: str) -> Any:
        words = ["samples", "import", str(file), "--checkpoint", name, "--profile", "smoke", "--json"]
        return CliRunner().invoke(main, words, env={"KIMI_HOME": str(home.root)})

    several = taken(first)
    assert several.exit_code == 2 and f"--checkpoint '{first}' is several: sft {first}" in several.output
    assert json.loads(taken(made[0].digest[:12]).stdout)["checkpoint"] == made[0].digest
    assert lake.rows("select count(*) n from samples")[0]["n"] == 1
    other = taken("my-model")
    assert json.loads(other.stdout)["checkpoint"] == model_checkpoint("my-model")
    assert "no checkpoint begins with 'my-model': taken as a model's name" in other.stderr
