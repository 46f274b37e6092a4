"""Sources: where corpora come from, declared in TOML files, and their rows as they are.

Belongs here: declarations (`Source`), reading rows of every kind, rows that can't even be parsed. Does not belong here:
turning a row into a Problem (`normalise.py`), writing tables (`ingest.py`).

A source file holds one `[[source]]` a corpus:

    [[source]]
    name = "gsm8k"
    kind = "jsonl"                 # jsonl | parquet | hub | builtin
    path = "gsm8k_train.jsonl"     # relative to this file; for hub the dataset's name
    licence = "MIT"
    [source.fields]
    prompt = "question"
    answer = "answer"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kimi_pipeline.digests import file_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.reasons import Reason

SHIPPED = Path(__file__).parent / "declared"
PROMPT_FIELDS = ("prompt", "problem", "question", "query", "instruction")
ANSWER_FIELDS = ("answer", "final_answer", "expected_answer", "correct", "solution", "output")
OPTION_FIELDS = ("options", "choices")
PEEK_ROWS = 100  # a mapped field must occur in one of the first rows, else its name is wrong


class Fields(BaseModel):
    """Which column holds what. Only prompt and answer are needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    answer: str
    id: str | None = None
    options: str | None = None
    domain: str | None = None
    discipline: str | None = None
    planted: str | None = None
    images: str | None = None
    labels: list[str] = []


class Source(BaseModel):
    """One corpus. `path` is absolute once it was read from a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    kind: Literal["jsonl", "parquet", "hub", "builtin"]
    path: str | None = None
    split: str = "train"
    subset: str | None = None
    licence: str = "unknown"
    language: str = "en"
    domain: str | None = None
    discipline: str | None = None
    fields: Fields = Fields(prompt="prompt", answer="answer")

    def digest(self) -> str:
        """What the source's content depends on, as far as it can be known without reading it all."""
        declared = self.model_dump_json()
        if self.kind in ("jsonl", "parquet") and self.path:
            return f"{declared}:{file_digest(Path(self.path))}"
        return declared


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `values`, or the `problem` that kept it from being read and its `raw` bytes."""

    row: str
    values: dict[str, Any] | None
    raw: bytes
    problem: Reason | None = None
    detail: str = ""
    planted: str | None = None


def load_sources(entries: list[str]) -> list[Source]:
    """The sources behind a profile's entries: `builtin`, source files (.toml) and plain data files.

    Raises UserError for a missing file, an unknown kind or field, two sources of one name; nothing is read yet.
    """
    if not entries:
        raise UserError("no source: set corpora.sources, or give --source FILE")
    sources = [source for entry in entries for source in _load_entry(entry)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two sources are named {name!r}: give each [[source]] a name of its own")
    return sources


def _load_entry(entry: str) -> list[Source]:
    path = SHIPPED / "builtin.toml" if entry == "builtin" else Path(entry).expanduser().resolve()
    if not path.is_file():
        raise UserError(f"source {entry} does not exist: give a .toml source file, or a .jsonl or .parquet file")
    if path.suffix == ".toml":
        return _load_toml(path)
    kind = {".jsonl": "jsonl", ".parquet": "parquet"}.get(path.suffix)
    if kind is None:
        raise UserError(f"source {entry}: {path.suffix or 'no suffix'} is not known: use .toml, .jsonl or .parquet")
    source = Source(name=path.stem, kind=kind, path=str(path))  # type: ignore[arg-type]
    return [source.model_copy(update={"fields": guess_fields(source)})]


def _load_toml(path: Path) -> list[Source]:
    try:
        entries = tomllib.loads(path.read_text()).get("source", [])
        sources = [Source.model_validate(entry) for entry in entries]
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"source file {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"source file {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if not sources:
        raise UserError(f"source file {path} declares no [[source]]")
    found = []
    for source in sources:
        if source.kind in ("jsonl", "parquet"):
            if not source.path:
                raise UserError(f"source {source.name} in {path}: path is missing")
            data = (path.parent / source.path).resolve()
            if not data.is_file():
                raise UserError(f"source {source.name}: {data} does not exist: mend path in {path}")
            source = source.model_copy(update={"path": str(data)})
        found.append(source)
    return found


def guess_fields(source: Source) -> Fields:
    """The mapping of a plain data file, from well-known column names. Raises UserError naming the columns found."""
    columns: list[str] = []
    for raw in _peek(source):
        columns += [name for name in raw if name not in columns]
    if not columns:
        raise UserError(f"{source.path} holds no readable row: check that it is {source.kind}")

    def first(names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in columns), None)

    prompt, answer = first(PROMPT_FIELDS), first(ANSWER_FIELDS)
    if prompt is None or answer is None:
        missing = "prompt" if prompt is None else "answer"
        raise UserError(
            f"{source.path}: no column looks like the {missing} (columns: {', '.join(columns)}): "
            f"write a .toml source file with [source.fields]"
        )
    labels: list[str] = [
        name for name in ("type", "level", "difficulty", "subject", "year", "source") if name in columns
    ]
    identity = next((name for name in ("id", "unique_id") if name in columns), None)
    return Fields(prompt=prompt, answer=answer, options=first(OPTION_FIELDS), id=identity, labels=labels)


def check_fields(source: Source) -> None:
    """Raises UserError where a mapped column does not occur in the source's first rows."""
    rows = _peek(source) if source.kind != "builtin" else []
    if not rows:
        return
    columns = sorted({name for row in rows for name in row})
    wanted = source.fields.model_dump(exclude_none=True)
    for field, column in [(f, c) for f, c in wanted.items() if f != "labels"] + [
        ("labels", c) for c in wanted["labels"]
    ]:
        if column not in columns:
            raise UserError(f"source {source.name}: no column {column!r} for {field} (columns: {', '.join(columns)})")


def _peek(source: Source) -> list[dict[str, Any]]:
    rows = []
    for raw in read_rows(source):
        if raw.values is not None:
            rows.append(raw.values)
        if len(rows) == PEEK_ROWS:
            break
    return rows


def read_rows(source: Source) -> Iterator[RawRow]:
    """The rows of a source that is stored somewhere, in order, as a stream (built-in rows: `builtin.py`)."""
    return {"jsonl": _read_jsonl, "parquet": _read_parquet, "hub": _read_hub}[source.kind](source)


def _read_jsonl(source: Source) -> Iterator[RawRow]:
    with Path(str(source.path)).open("rb") as file:
        for number, line in enumerate(file, start=1):
            line = line.strip()
            if line:
                yield parse_line(str(number), line)


def parse_line(row: str, line: bytes) -> RawRow:
    """One JSON line; what is not UTF-8, not JSON or not an object keeps its bytes and gets a reason."""
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return RawRow(row, None, line, Reason.INVALID_UTF8, str(error))
    except (ValueError, RecursionError) as error:
        return RawRow(row, None, line, Reason.INVALID_JSON, str(error))
    if not isinstance(values, dict):
        return RawRow(row, None, line, Reason.NOT_AN_OBJECT, type(values).__name__)
    return RawRow(row, values, line)


def row_from_values(row: str, values: dict[str, Any]) -> RawRow:
    return RawRow(row, values, json.dumps(values, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def _read_parquet(source: Source) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(str(source.path))
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for values in batch.to_pylist():
                number += 1
                yield row_from_values(str(number), values)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"source {source.name}: {source.path} is not a whole Parquet file: {error}") from None


def _read_hub(source: Source) -> Iterator[RawRow]:
    import datasets

    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(source.path, source.subset, split=source.split, streaming=True)
    except Exception as error:  # the library raises many kinds, all about what was asked for
        raise UserError(f"source {source.name}: dataset {source.path!r} can't be loaded: {error}") from None
    for number, values in enumerate(rows, start=1):
        yield row_from_values(str(number), values)
