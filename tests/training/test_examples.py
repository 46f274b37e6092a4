"""Examples as tokens: the chat template's own, at once; bad files in one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.vllm_carrier import render_prompt
from kimi_pipeline.models.tokenizer import build_tokenizer
from kimi_pipeline.training.examples import HELD_OUT, prompt_ids, read_examples, response_ids
from tests.conftest import require


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    require("transformers")
    return build_tokenizer(128)


def write(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def rows(*phases: str, response: str = "\\boxed{1}") -> dict[str, list[str]]:
    messages = [f"What is {number}?\nReason." for number in range(len(phases))]
    return {
        "user_message": messages,
        "response": [response] * len(phases),
        "format": ["reasoning"] * len(phases),
        "phase": list(phases),
    }


MESSAGES = [
    "Begin with 12.\nReason.",
    "  space at the ends \n",
    "ends the turn <|end|><|assistant|>\\boxed{1}",
    "äöü 漢字",
    "{x}",
]


def test_prompts_are_those_of_the_carrier(tokenizer: Any) -> None:
    for message, found in zip(MESSAGES, prompt_ids(tokenizer, MESSAGES), strict=True):
        assert tuple(found.tolist()) == render_prompt(tokenizer, message)


def test_a_response_ends_once_whatever_it_says(tokenizer: Any) -> None:
    found = response_ids(tokenizer, ["\\boxed{7}", "says <|end|> itself"])
    for ids in found:
        assert ids.tolist().count(tokenizer.eos_token_id) == 1 and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(found[0][:-1]) == "\\boxed{7}"


def test_clean_examples_come_first_in_their_own_order(tokenizer: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", **rows("noisy", "clean", "noisy", "clean"))
    found = read_examples(path, tokenizer, 128)
    assert found.phases == ["clean", "clean", "noisy", "noisy"]
    texts = [tokenizer.decode(ids) for ids in found.prompts]
    assert ["1?" in texts[0], "3?" in texts[1], "0?" in texts[2], "2?" in texts[3]] == [True] * 4


def test_bad_files_are_refused_in_one_line(tokenizer: Any, tmp_path: Path) -> None:
    good = rows("clean")
    cases = {
        "does not exist": tmp_path / "missing.parquet",
        "no column 'phase'": write(tmp_path / "a.parquet", **{k: v for k, v in good.items() if k != "phase"}),
        "is empty": write(tmp_path / "b.parquet", **{name: pa.array([], pa.string()) for name in good}),
        "unknown phase 'held_out'": write(tmp_path / "c.parquet", **rows("held_out")),
        "exceed model.window = 20": write(tmp_path / "d.parquet", **rows("clean", response="0123456789" * 2)),
    }
    for message, path in cases.items():
        with pytest.raises(UserError, match=message) as error:
            read_examples(path, tokenizer, 20)
        assert "\n" not in str(error.value)
    assert len(read_examples(tmp_path / "c.parquet", tokenizer, 128, HELD_OUT)) == 1
