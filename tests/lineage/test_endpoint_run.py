"""A prompt set through an OpenAI-compatible endpoint that fails on purpose, from the terminal's door; no engine, no torch."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.lake import Lake
from tests.inference.faulty_gateway import Gateway, completion
from tests.lineage.test_smoke_run import cli

PROBLEMS = 12
FAULTS = ("429", "drop_before", "drop_after", "double", *[None] * 16)


def answer(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Right half of the time when it may reason; never when it must guess."""
    message = body["messages"][0]["content"]
    number = int(message.split("What is ")[1].split(" ")[0])
    right = "step by step" in message and random.Random(body["seed"]).random() < 0.5
    return completion(f"\\boxed{{{number + 7 if right else -1}}}", key)


def test_no_sample_is_lost_and_none_is_paid_twice(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(json.dumps({"question": f"What is {k} + 7?", "answer": str(k + 7)}) + "\n" for k in range(PROBLEMS))
    )
    home = tmp_path / "home"
    with Gateway(answer, lambda key, attempt: random.Random(f"{key}{attempt}").choice(FAULTS)) as gateway:
        arguments = ["run", "--profile", "smol", "--source", str(corpus), "--select", "decision_ledger"]
        arguments += ["--endpoint", gateway.url, "--endpoint-model", "m", "--set", "inference.endpoint_retries=12"]
        for _ in range(2):  # the second run must ask nothing
            done = cli(home, *arguments)
            assert done.returncode == 0, done.stderr
        samples = Lake(home / "lake").read(tables.SAMPLES, columns=["sample_id", "status", "purpose"]).to_pylist()
        assert len(samples) == PROBLEMS * (10 + 8)
        assert len({row["sample_id"] for row in samples}) == len(samples)
        assert {row["status"] for row in samples} == {"correct", "wrong"}
        assert set(gateway.bills.values()) == {1}
        assert len(gateway.bills) == len(samples)
        assert sum(gateway.tries.values()) > len(samples)  # the faults did happen
    report = json.loads(cli(home, "funnel", "--json").stdout)
    assert report["stages"][0]["in"] == PROBLEMS
    assert all(stage["in"] == stage["out"] + sum(stage["refused"].values()) for stage in report["stages"])
    story = json.loads(cli(home, "explain", "What is 3 + 7?", "--json").stdout)
    assert [row["stage"] for row in story["decisions"]][:4] == ["ingest", "duplicates", "evaluability", "contamination"]
