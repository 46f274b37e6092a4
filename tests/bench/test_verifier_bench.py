"""The benches of the verifier: small runs of them whole, beside math-verify itself; the line where the data is absent."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from kimi_pipeline.bench import agreement, verifying
from kimi_pipeline.bench.plain import sequential
from kimi_pipeline.bench.responses import kept_in
from kimi_pipeline.cli import main
from kimi_pipeline.home import Home

FORM = {"name", "figures", "peer", "ratio", "machine", "command"}
GROUPS = [
    ("18", ["so \\boxed{18}", "so \\boxed{19}", "it is $18$ here", "The answer is 18.", "\\boxed{9+9}", "a", "b", "c"]),
    ("x^2-4", ["\\boxed{(x+2)(x-2)}", "\\boxed{(x+2)^2}", "\\boxed{x^2 - 4}", "\\boxed{x^2+4}", "1", "2", "3", "3"]),
]


def test_math_verify_is_asked_one_by_one() -> None:
    found = sequential([("x^2-4", "\\boxed{(x+2)(x-2)}"), ("18", "\\boxed{19}"), ("18", "no number at all")])
    assert found.verdicts == [True, False, None] and found.seconds > 0 and found.cpu_seconds > 0


def test_every_copy_is_of_its_reference() -> None:
    copies = list(agreement.copies("\\frac{3}{4}", random.Random(0)))
    assert copies[:2] == ["\\frac{3}{4}", "\\dfrac{3}{4}"] and "\\frac{4}{3}" in copies and "\\frac{6}{8}" in copies
    assert "1,234" in list(agreement.copies("1234", random.Random(0)))


def test_agreement_on_a_few_real_references(shared_data: Path) -> None:
    found = agreement.measure(shared_data, 60)
    assert set(found) == FORM
    assert found["figures"]["pairs"] == 60 and found["figures"]["both_decide"] >= 55
    assert found["figures"]["agreement"] >= 0.98, found["figures"]["differences"]


def written(data: Path) -> Path:
    """A folder with one problem each, as GSM8K and MATH have them."""
    data.mkdir()
    (data / "gsm8k_train.jsonl").write_text(json.dumps({"question": "9+9?", "answer": "It is\n#### 18"}) + "\n")
    (data / "math_train.jsonl").write_text(json.dumps({"problem": "Expand.", "answer": "x^2-4"}) + "\n")
    return data


def test_speed_on_a_few_responses(tmp_path: Path) -> None:
    home, data, model = Home(tmp_path / "home").prepare(), written(tmp_path / "data"), tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    path = kept_in(home, 1, data, model)  # as if the model had answered
    path.parent.mkdir(parents=True)
    lines = [json.dumps({"reference": reference, "responses": texts}) for reference, texts in GROUPS]
    path.write_text("\n".join(lines) + "\n")
    found = verifying.measure(home, data, model, problems=1, rounds=1)
    assert set(found) == FORM and found["ratio"] > 0
    figures = found["figures"]
    assert figures["pairs"] == 15  # one text stands there twice
    assert figures["verdicts"]["correct"] == 4 and 0 < figures["slow_pairs"] < 8


def test_other_responses_of_another_model_or_of_other_problems(tmp_path: Path) -> None:
    home, data = Home(tmp_path / "home"), written(tmp_path / "data")
    models = [tmp_path / name for name in ("small", "large")]
    for number, model in enumerate(models):
        model.mkdir()
        (model / "config.json").write_text(json.dumps({"layers": number}))
    before = [kept_in(home, 1, data, model) for model in models]
    (data / "math_train.jsonl").write_text(json.dumps({"problem": "Factor.", "answer": "x^2-4"}) + "\n")
    assert len({*before, kept_in(home, 1, data, models[0])}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["agreement"], "needs --data FOLDER with gsm8k_train.jsonl, math_train.jsonl"),
        (["verifier"], "needs --data FOLDER with gsm8k_train.jsonl, math_train.jsonl"),
        (["evaluability"], "needs --data FOLDER with gsm8k_train.jsonl, math_train.jsonl, aqua_test.jsonl"),
        (["evaluability", "--data", "."], "has no gsm8k_train.jsonl: give --data FOLDER with gsm8k_train.jsonl"),
        (["planted", "--data", "bare"], "gsm8k_train.jsonl: row 1 has no question"),
        (["tagger", "--data", "data"], "math_train.jsonl: row 1 has no type"),
        (["verifier", "--data", "data"], "needs --model FOLDER of a small chat model"),
    ],
)
def test_without_its_folders_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "data")
    (written(tmp_path / "bare") / "gsm8k_train.jsonl").write_text('{"answer": "18"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIMI_HOME", str(tmp_path / "home"))
    ended = CliRunner().invoke(main, ["bench", *arguments, "--json"])
    assert ended.exit_code == 2 and ended.output.count("\n") == 1 and said in ended.output
