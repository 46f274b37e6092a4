"""Real corpora that measurements are made on: JSON lines in a folder that the caller names.

Belongs here: finding and reading them, the fields of GSM8K and MATH. Does not belong here: what is measured on them. The
pipeline itself reads corpora through `corpora/`, with quarantine and limits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.errors import UserError

GSM8K, MATH = "gsm8k_train", "math_train"
FIELDS = ((GSM8K, "question", "answer"), (MATH, "problem", "answer"))
"""File, prompt, answer."""


def data_folder(data: Path | None, command: str, files: Sequence[str]) -> Path:
    """The folder itself. Raises UserError where none was given or a file is missing."""
    named = ", ".join(f"{name}.jsonl" for name in files)
    if data is None:
        raise UserError(f"{command} needs --data FOLDER with {named}")
    absent = [name for name in files if not (data / f"{name}.jsonl").is_file()]
    if absent:
        raise UserError(f"{command}: {data} has no {absent[0]}.jsonl: give --data FOLDER with {named}")
    return data


def read(path: Path, *fields: str) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file. Raises UserError where it can't be read or a row has not all of `fields`."""
    try:
        rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}: a measurement reads JSON lines") from None
    for number, row in enumerate(rows, start=1):
        absent = [name for name in fields if name not in row]
        if absent:
            raise UserError(f"{path}: row {number} has no {absent[0]}")
    return rows
