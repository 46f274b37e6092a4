"""Files of rollouts that were made elsewhere, row by row, in one form: what was asked, what was answered, what was said of it.

Belongs here: the formats (`jsonl`: ours; `trl`: logged completions; `verl`: rollout dumps) and which prompts a row may mean.
Does not belong here: matching, verifying, storing (`imports.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.reasons import Reason

BATCH_ROWS = 500
CUT = ("length", "max_tokens")  # finish reasons of an answer that was cut off
TURNS = (
    re.compile(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", re.S),
    re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\n*(.*?)<\|eot_id\|>", re.S),
    re.compile(r"\[INST\](.*?)\[/INST\]", re.S),
    re.compile(r"(?:^|\n)user\n(.*?)\n(?:assistant|model)\n?", re.S),
)
"""The user's turn in a prompt that was written down after its chat template."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer. `prompts`: the texts that may be the problem's, most literal first. `right`: what the file says of it."""

    row: str
    problem_id: str | None
    prompts: tuple[str, ...]
    text: str
    tokens: int | None
    finished: bool
    right: bool | None
    temperature: float | None
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that can't be taken: its number, why, and the row itself."""

    row: str
    reason: Reason
    detail: str
    raw: bytes


def read_rollouts(path: Path, format: str) -> Iterator[Rollout | Refused]:
    """The rows of a file in order (a row with several responses is several rollouts), never more than a batch in memory.

    Raises UserError for a file that can't be read.
    """
    if not path.is_file():
        raise UserError(f"file {path} does not exist: give the path of a .jsonl (also .gz, .zst) or .parquet file")
    try:
        for number, raw, values in _parquet(path) if path.suffix == ".parquet" else _lines(path):
            yield from _of_row(str(number), raw, values, format)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"file {path} can't be read to its end ({error}): nothing of it was imported") from None


def _lines(path: Path) -> Iterator[tuple[int, bytes, Any]]:
    with fsspec.open(str(path), "rb", compression="infer") as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            try:
                yield number, line, json.loads(line)
            except ValueError as error:
                yield number, line, error


def _parquet(path: Path) -> Iterator[tuple[int, bytes, Any]]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            for values in batch.to_pylist():
                yield number, json.dumps(values, default=str).encode(), values
                number += 1


def _of_row(row: str, raw: bytes, values: Any, format: str) -> Iterator[Rollout | Refused]:
    if isinstance(values, ValueError):
        yield Refused(row, Reason.INVALID_JSON, str(values), raw)
        return
    if not isinstance(values, Mapping):
        yield Refused(row, Reason.NOT_AN_OBJECT, type(values).__name__, raw)
        return
    asked, answers, verdicts = _FIELDS[format](values)
    texts = [_text(one, "assistant") for one in answers]
    if not texts or any(text is None for text in texts):
        yield Refused(row, Reason.NO_RESPONSE, f"format {format}", raw)
        return
    given = _text(asked, "user")
    for at, text in enumerate(texts):
        verdict = verdicts[at] if at < len(verdicts) else None
        yield Rollout(
            row if len(texts) == 1 else f"{row}.{at}",
            _problem_id(values),
            tuple(dict.fromkeys(_readings(given))) if given else (),
            str(text),
            values.get("tokens") if isinstance(values.get("tokens"), int) else None,
            values.get("finish_reason") not in CUT,
            _right(verdict),
            values.get("temperature") if isinstance(values.get("temperature"), int | float) else None,
            values.get("max_tokens") if isinstance(values.get("max_tokens"), int) else None,
        )


def _ours(values: Mapping[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    answers = values["responses"] if isinstance(values.get("responses"), list) else [values.get("response")]
    verdict = values.get("rewards", values.get("reward", values.get("correct")))
    return values.get("prompt"), answers, verdict if isinstance(verdict, list) else [verdict]


def _trl(values: Mapping[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    """`prompt` and `completion` as text or as messages; the reward is `reward`, or the sum of the reward functions', whose
    columns TRL names after them (beside `step` and `advantage`)."""
    named = [value for name, value in values.items() if "reward" in name and isinstance(value, int | float)]
    verdict = values.get("reward", sum(named) if named else None)
    return values.get("prompt"), [values.get("completion")], [verdict]


def _verl(values: Mapping[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    """`input`, `output` and `score` of a dump (`trainer.rollout_data_dir`, with `gts` and `step` beside them); datasets say
    `prompt` (messages) and `responses`."""
    answers = values.get("responses", values.get("output"))
    verdict = values.get("score", values.get("acc"))
    answers = answers if isinstance(answers, list) and not _is_chat(answers) else [answers]
    return values.get("input", values.get("prompt")), answers, verdict if isinstance(verdict, list) else [verdict]


_FIELDS = {"jsonl": _ours, "trl": _trl, "verl": _verl}


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, Mapping) for turn in value)


def _text(value: Any, role: str) -> str | None:
    """A text, or the last message of a role."""
    if _is_chat(value):
        said = [turn.get("content") for turn in value if turn.get("role") == role]
        value = said[-1] if said else None
    return value if isinstance(value, str) else None


def _problem_id(values: Mapping[str, Any]) -> str | None:
    extra = values.get("extra_info")
    for place in (values, extra if isinstance(extra, Mapping) else {}):
        if isinstance(found := place.get("problem_id"), str):
            return found
    return None


def _readings(given: str) -> Iterator[str]:
    """The texts that a prompt as it was logged may hold: itself, its user's turn, either without our own wording."""
    turns = [given, *(found[-1] for pattern in TURNS if (found := pattern.findall(given)))]
    for turn in turns:
        yield turn.strip()
        for template in TEMPLATES.values():
            before, _, after = template.reasoning.partition("{prompt}")
            if turn.strip().startswith(before.strip()) and turn.strip().endswith(after.strip()):
                yield turn.strip().removeprefix(before.strip()).removesuffix(after.strip()).strip()


def _right(verdict: Any) -> bool | None:
    """What a reward says: above 0 is right, in the scales that are in use (0 and 1, -1 and 1)."""
    return verdict > 0 if isinstance(verdict, bool | int | float) and verdict == verdict else None
