"""Worked examples as tokens: a file of messages and responses, through the model's own chat template.

Belongs here: reading the parquet file, tokenising thousands of short texts at once. Does not belong here: making examples
(`corpora/`), batches (`packing.py`), the template of one prompt (`inference/vllm_carrier.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.vllm_carrier import around_message, render_prompt, special_tokens
from kimi_pipeline.training.packing import Ids

COLUMNS = ("user_message", "response", "format", "phase")
PHASES = ("clean", "noisy")  # of training, in this order
HELD_OUT = ("held_out", *PHASES)


@dataclass(frozen=True)
class Examples:
    """Tokenised examples, in training order: clean before noisy. All lists are parallel.

    `prompts` end where the answer begins; `responses` end with the end-of-sequence token.
    """

    prompts: list[Ids]
    responses: list[Ids]
    formats: list[str]
    phases: list[str]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def lengths(self) -> Ids:
        return np.array([len(p) + len(r) for p, r in zip(self.prompts, self.responses, strict=True)], dtype=np.int64)

    def where(self, chosen: Sequence[int]) -> Examples:
        columns = (self.prompts, self.responses, self.formats, self.phases)
        return Examples(*([column[i] for i in chosen] for column in columns))  # type: ignore[arg-type]


def read_examples(path: Path, tokenizer: Any, window: int, phases: Sequence[str] = PHASES) -> Examples:
    """Read and tokenise a parquet file with the columns `COLUMNS`; `phases` are the ones it may hold, in their order.

    The file's order is kept within a phase; all clean examples come first: with slips from the first step on a small
    model does not learn the facts at all. Raises UserError where the file or a column is missing, there are no rows, a
    phase is unknown, or an example exceeds the window.
    """
    if not path.is_file():
        raise UserError(f"examples file {path} does not exist: materialise the SFT examples first")
    missing = set(COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise UserError(f"examples file {path} has no column {min(missing)!r}: it needs {', '.join(COLUMNS)}")
    table = pq.read_table(path, columns=list(COLUMNS)).to_pydict()
    if not table["phase"]:
        raise UserError(f"examples file {path} is empty: raise sft.clean_examples")
    unknown = set(table["phase"]) - set(phases)
    if unknown:
        raise UserError(
            f"examples file {path}: unknown phase {min(map(str, unknown))!r}, write one of {', '.join(phases)}"
        )
    order = sorted(range(len(table["phase"])), key=lambda row: phases.index(table["phase"][row]))
    found = Examples(
        prompt_ids(tokenizer, table["user_message"]),
        response_ids(tokenizer, table["response"]),
        table["format"],
        table["phase"],
    ).where(order)
    longest = int(found.lengths.max())
    if longest > window:
        over = int((found.lengths > window).sum())
        raise UserError(
            f"{path}: {over} examples exceed model.window = {window} tokens: set model.window={longest} or more"
        )
    return found


def prompt_ids(tokenizer: Any, messages: Sequence[str]) -> list[Ids]:
    """The user's turns as tokens, ready for the answer: what `render_prompt` gives for each, many at once."""
    around, special = around_message(tokenizer), special_tokens(tokenizer)
    before, after = around or ("", "")
    # What a template might change (white space at the ends) and what must not end the turn (special tokens spelled
    # out) goes the long way, message by message.
    plain = [
        around is not None and message == message.strip() and not any(token in message for token in special)
        for message in messages
    ]
    texts = [before + message + after for message, is_plain in zip(messages, plain, strict=True) if is_plain]
    fast = iter(tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else [])
    return [
        np.array(next(fast) if is_plain else render_prompt(tokenizer, message), dtype=np.int64)
        for message, is_plain in zip(messages, plain, strict=True)
    ]


def response_ids(tokenizer: Any, responses: Sequence[str]) -> list[Ids]:
    """Responses as tokens with the end-of-sequence token; special tokens spelled out in them are plain text.

    Raises UserError where the tokenizer has no end-of-sequence token: a response would never end.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise UserError(f"the tokenizer of {tokenizer.name_or_path} has no eos_token: name it in tokenizer_config.json")
    texts = tokenizer(list(responses), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return [np.array([*text, end], dtype=np.int64) for text in texts]
