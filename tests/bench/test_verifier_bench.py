"""The benches of the verifier: small runs of them whole, beside math-verify itself; the line where the data is absent."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from kimi_pipeline.bench import agreement, responses, verifying
from kimi_pipeline.bench.plain import sequential
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
    found = agreement.measure(60)
    assert set(found) == FORM
    assert found["figures"]["pairs"] == 60 and found["figures"]["both_decide"] >= 55
    assert found["figures"]["agreement"] >= 0.98, found["figures"]["differences"]


def test_speed_on_a_few_responses(tmp_path: Path) -> None:
    home = Home(tmp_path).prepare()
    folder = home.root / "bench" / "verifier"
    folder.mkdir(parents=True)
    lines = [json.dumps({"reference": reference, "responses": texts}) for reference, texts in GROUPS]
    (folder / "responses-1.jsonl").write_text("\n".join(lines) + "\n")
    found = verifying.measure(home, problems=1, rounds=1)
    assert set(found) == FORM and found["ratio"] > 0
    figures = found["figures"]
    assert figures["pairs"] == 15  # one text stands there twice
    assert figures["verdicts"]["correct"] == 4 and 0 < figures["slow_pairs"] < 8


@pytest.mark.parametrize("name", ["agreement", "verifier"])
def test_without_the_data_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_HOME", str(tmp_path / "home"))
    for module in (agreement, responses):
        monkeypatch.setattr(module, "DATA", tmp_path / "shared" / "data")
    ended = CliRunner().invoke(main, ["bench", name, "--json"])
    assert ended.exit_code == 2 and ended.output.count("\n") == 1 and str(tmp_path / "shared" / "data") in ended.output
