"""Checking a source before it enters: the mapping, the first rows, what would be quarantined. Nothing is written to the lake.

Belongs here: the report behind `kimi-pipeline sources check`, and the source entry as TOML. Does not belong here: the
guess itself (`mapping.py`), reading a source for good (`ingest.py`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from kimi_pipeline.corpora import gym, streams
from kimi_pipeline.corpora.formats import Bounds, chunks
from kimi_pipeline.corpora.mapping import check_fields, guess_source
from kimi_pipeline.corpora.normalise import Normaliser
from kimi_pipeline.corpora.sources import FILES, Source, load_sources, plain_source
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import Problem
from kimi_pipeline.reasons import Reason

SHOWN = 5
TEXT = 160


def sources_to_check(entry: str, bounds: Bounds) -> tuple[list[Source], bool]:
    """The sources behind an entry, and whether their mapping was guessed. Raises UserError as `load_sources` does."""
    if entry.endswith(".toml"):
        return load_sources([entry]), False
    if not streams.is_url(entry) and not Path(entry).is_file():
        raise UserError(f"{entry} does not exist: give a data file, a URL or a .toml source file")
    return [guess_source(plain_source(entry), bounds, answers=False)], True


def check(source: Source, bounds: Bounds, limit: int | None = None) -> dict[str, Any]:
    """What reading the source (its first `limit` rows) would give: counts, five problems, examples of every refusal.

    `notes` are lines for a person: what the mapping leaves open.
    """
    if source.kind == "builtin":
        raise UserError("the built-in corpus needs no check: its rows and their treatment are known by construction")
    if source.kind != "reasoning_gym":
        check_fields(source, bounds)
    normalise = Normaliser(source, bounds)
    reasons: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    problems: list[Problem] = []
    refused: list[dict[str, str]] = []
    seen: set[int] = set()
    read = 0
    for raw in islice(_rows(source, bounds), limit):
        read += 1
        made = normalise(raw)
        if isinstance(made, Problem):
            given = normalise.given_id(raw)
            if given is not None and hash(given) in seen:
                reasons[Reason.DUPLICATE_SOURCE_ID] += 1
                continue
            if given is not None:
                seen.add(hash(given))
            kinds[made.answer_kind] += 1
            languages[made.language] += 1
            if len(problems) < SHOWN:
                problems.append(made)
        else:
            if made.reason not in reasons:
                refused.append({"row": raw.row, "reason_code": str(made.reason), "detail": made.detail})
            reasons[made.reason] += 1
    return {
        "name": source.name,
        "kind": source.kind,
        "path": source.path,
        "mapping": source.fields.model_dump(exclude_none=True),
        "answer_format": source.answer_format,
        "read": read,
        "problems": sum(kinds.values()),
        "quarantined": {str(reason): count for reason, count in reasons.most_common()},
        "answer_kinds": dict(kinds.most_common()),
        "languages": dict(languages.most_common()),
        "rows": [_shown(problem) for problem in problems],
        "refused": refused,
        "notes": _notes(source, kinds),
    }


def _rows(source: Source, bounds: Bounds) -> Any:
    if source.kind == "reasoning_gym":
        return gym.read(source)
    rows: Any = (raw for chunk in chunks(source, bounds) for raw in chunk)
    return rows


def _shown(problem: Problem) -> dict[str, Any]:
    prompt = " ".join(problem.prompt.split())
    return {
        "row": problem.source_row,
        "prompt": prompt if len(prompt) <= TEXT else prompt[: TEXT - 1] + "…",
        "answer": problem.answer[:TEXT],
        "answer_kind": problem.answer_kind,
        "language": problem.language,
        "options": list(problem.options),
        "labels": problem.labels,
        "images": len(problem.images),
    }


def _notes(source: Source, kinds: Counter[str]) -> list[str]:
    notes = []
    if source.fields.answer is None:
        notes.append(
            "no column looks like an answer: its problems get the answer kind none, and rules can't check them"
        )
    if source.licence == "unknown":
        notes.append("the licence is unknown: set licence before a set of allowed licences is cut")
    if source.fields.options and source.rewrite is None:
        notes.append(f"{source.fields.options} holds options: these problems are multiple-choice")
    if source.answer_format == "last_number":
        notes.append("worked solutions without a marked answer: the last number is taken, look at the rows")
    text = kinds["text"] / max(1, sum(kinds.values()))
    if text > 0.5 and not source.fields.options:
        notes.append(f"{text:.0%} of the answers are plain text: is {source.fields.answer} the answer's column?")
    return notes


def write_entry(source: Source, output: Path) -> Path:
    """Write the source as a file that `--source` takes; returns its path. In a folder it gets the source's name.

    Raises UserError where the file exists or can't be written.
    """
    if output.is_dir():
        output = output / f"{source.name}.toml"
    if output.exists():
        raise UserError(f"{output} exists: remove it or give --write another path")
    aside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        aside.write_text(entry_text(source, output))
        aside.rename(output)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"{output}: {error.strerror}: give --write another path") from None
    return output


def entry_text(source: Source, output: Path | None = None) -> str:
    """The `[[source]]` as TOML: what differs from the defaults, the path relative to `output` where the data lies below
    its folder."""
    values = source.model_dump(exclude_defaults=True, exclude={"fields"})
    if output and source.kind in FILES and not streams.is_url(str(source.path)):
        data, folder = Path(str(source.path)), output.resolve().parent
        if data.is_relative_to(folder):
            values["path"] = str(data.relative_to(folder))
    values.setdefault("licence", "unknown")
    lines = ["[[source]]", *(f"{name} = {_toml(value)}" for name, value in values.items()), "", "[source.fields]"]
    fields = source.fields.model_dump(exclude_none=True)
    lines += [f"{name} = {_toml(value)}" for name, value in fields.items() if value != []]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Texts, numbers and lists of texts: JSON's notation is TOML's, but for the character that JSON may leave as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
