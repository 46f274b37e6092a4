"""The tagger's bench on drawn problems: it ends, and its figures are those that acceptance asks for."""

from __future__ import annotations

import json
from pathlib import Path

from kimi_pipeline.bench.acceptance import promises, take
from kimi_pipeline.bench.tagger import UPTO, measure
from kimi_pipeline.lineage import STAGES
from tests.curation.test_tagging import corpus


def test_the_stages_that_are_timed_read_no_others() -> None:
    for place, name in enumerate(UPTO):
        assert set(STAGES[name].upstream) <= set(UPTO[:place])


def test_what_acceptance_asks_for_is_measured(tmp_path: Path) -> None:
    rows = [
        {"problem": text, "answer": str(k), "type": label, "difficulty": 1}
        for k, (text, label) in enumerate(corpus(200))
    ]
    (tmp_path / "math_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = [{"question": f"What is {k} and {k}?", "answer": f"#### {2 * k}"} for k in range(20)]
    (tmp_path / "gsm8k_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plain))
    said = measure(tmp_path)
    (command,) = (each for each in promises() if each.name == "tagger")
    for check in command.check:
        assert isinstance(take({"said": said}, check.figure), float), check.name
    assert 0 < said["figures"]["share_of_run"] < 1
