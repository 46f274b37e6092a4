"""From a source row to a Problem, or to a refusal with a reason code.

Belongs here: field mapping, types, answer extraction from worked solutions, answer kinds. Does not belong here: reading
files (`sources.py`), judging whether a problem is fit for RL (`curation/`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kimi_pipeline.corpora.sources import RawRow, Source
from kimi_pipeline.problems import Image, Problem, normalise_for_identity
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.math_rules import as_number, boxed


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row can't become a problem."""

    reason: Reason
    detail: str


def normalise(source: Source, raw: RawRow, max_text_bytes: int) -> Problem | Refusal:
    """The row as a Problem, its text as given (normalisation is for identity alone)."""
    if raw.values is None:
        return Refusal(raw.problem or Reason.INVALID_JSON, raw.detail)
    values, fields = raw.values, source.fields
    prompt = _text(values, fields.prompt, Reason.MISSING_PROMPT, Reason.EMPTY_PROMPT, max_text_bytes, numbers=False)
    if isinstance(prompt, Refusal):
        return prompt
    answer = _text(values, fields.answer, Reason.MISSING_ANSWER, Reason.MISSING_ANSWER, max_text_bytes, numbers=True)
    if isinstance(answer, Refusal):
        return answer
    options = values.get(fields.options) if fields.options else None
    if options is not None and not (isinstance(options, list) and all(isinstance(o, str) for o in options)):
        return Refusal(Reason.WRONG_TYPE, f"{fields.options}: {type(options).__name__}")
    images = _images(values.get(fields.images) if fields.images else None)
    if isinstance(images, Refusal):
        return images
    final = final_answer(answer)
    return Problem(
        source=source.name,
        source_row=raw.row,
        prompt=prompt,
        answer=final,
        answer_kind=answer_kind(final),
        domain=_label(values, fields.domain) or source.domain,
        discipline=_label(values, fields.discipline) or source.discipline,
        language=source.language,
        licence=source.licence,
        options=tuple(options or ()),
        images=images,
        labels={name: str(values[name]) for name in fields.labels if values.get(name) is not None},
        planted=_label(values, fields.planted),
    )


def _text(
    values: dict[str, Any], field: str, missing: Reason, empty: Reason, max_bytes: int, *, numbers: bool
) -> str | Refusal:
    value = values.get(field)
    if value is None:
        return Refusal(missing, f"{field}: absent or null")
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        if value != value:  # NaN is a missing number
            return Refusal(missing, f"{field}: NaN")
        return str(value)
    if not isinstance(value, str):
        return Refusal(Reason.WRONG_TYPE, f"{field}: {type(value).__name__}")
    if not normalise_for_identity(value):
        return Refusal(empty, f"{field}: white space only")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:  # lone surrogates, as JSON's \ud800 gives them
        return Refusal(Reason.INVALID_UTF8, f"{field}: {error.reason}")
    if size > max_bytes:
        return Refusal(Reason.TOO_LONG, f"{field}: {size} bytes")
    return value


def _label(values: dict[str, Any], field: str | None) -> str | None:
    value = values.get(field) if field else None
    return None if value is None else str(value)


def _images(value: Any) -> tuple[Image, ...] | Refusal:
    """Images as the `datasets` library stores them: {"bytes": ..., "path": ...}, or plain bytes."""
    found = []
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        data = item.get("bytes") if isinstance(item, dict) else item
        if not isinstance(data, bytes):
            return Refusal(Reason.WRONG_TYPE, f"image: {type(data).__name__}")
        found.append(Image("image/jpeg" if data[:2] == b"\xff\xd8" else "image/png", data))
    return tuple(found)


def final_answer(answer: str) -> str:
    r"""The reference answer inside a worked solution: after `####` (GSM8K), else the last `\boxed{}`, else as given."""
    if "####" in answer:
        return answer.rsplit("####", 1)[1].strip().split("\n")[0].strip()
    found = boxed(answer)
    return found[-1].strip() if found else answer.strip()


_TUPLE = re.compile(r"^[(\[]\s*[^()\[\]]+(,[^()\[\]]+)+[)\]]$")


def answer_kind(answer: str) -> str:
    """One of `problems.ANSWER_KINDS`, from the answer's form."""
    number = as_number(answer)
    if number is not None:
        if "." in answer or "%" in answer:
            return "real"
        return "integer" if number.denominator == 1 and "/" not in answer and "frac" not in answer else "rational"
    if "matrix}" in answer:
        return "matrix"
    if answer.startswith(("\\{", "{")):
        return "set"
    if _TUPLE.match(answer.replace("\\left", "").replace("\\right", "")):
        return "interval" if answer[0] != "(" or answer[-1] != ")" or "infty" in answer else "tuple"
    if re.search(r"[\\^_=+*/]|\d\s*-|-\s*\d", answer) and not re.search(r"[a-zA-Z]{4,}\s+[a-zA-Z]{4,}", answer):
        return "expression"
    return "text"
