"""Formats: a source's rows in chunks that a worker can take, whatever they are stored as.

Belongs here: jsonl, json, csv, parquet, hub datasets; what is not even a row. Does not belong here: bytes and
decompression (`streams.py`), row groups (`parquet.py`), what a row means (`normalise.py`).

A chunk is cheap to make and to send: parsing happens where it is iterated.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from kimi_pipeline.corpora import parquet, streams
from kimi_pipeline.corpora.sources import Source
from kimi_pipeline.errors import UserError
from kimi_pipeline.reasons import Reason

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a row may be at most: `text` and `row` in bytes, `expansion` of a compressed file."""

    text: int = 1_000_000
    row: int = 16_777_216
    expansion: int = 200


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `values`, or the `problem` that kept it from being read. `stored` are its bytes, where it has any."""

    row: str
    values: dict[str, Any] | None
    stored: bytes | None = None
    problem: Reason | None = None
    detail: str = ""
    planted: str | None = None

    @property
    def raw(self) -> bytes:
        """The row's bytes: as stored, else its values as JSON."""
        if self.stored is not None:
            return self.stored
        return json.dumps(self.values, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


class Chunk(Protocol):
    """Consecutive rows of a source."""

    def __iter__(self) -> Iterator[RawRow]: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that are there already."""

    rows: list[RawRow]

    def __iter__(self) -> Iterator[RawRow]:
        return iter(self.rows)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Lines or records that `parse` makes rows of."""

    pieces: list[streams.Piece]
    parse: Callable[[str, bytes, tuple[str, ...]], RawRow]
    header: tuple[str, ...] = ()
    bound: int = 0

    def __iter__(self) -> Iterator[RawRow]:
        for piece in self.pieces:
            if isinstance(piece, streams.TooLong):
                detail = f"the row has {piece.size} bytes (corpora.max_row_bytes is {self.bound})"
                yield RawRow(str(piece.number), None, piece.head, Reason.TOO_LONG, detail)
            else:
                yield self.parse(str(piece[0]), piece[1], self.header)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in Arrow; `first` is the number of the first. Rows beyond `bound` bytes are never made Python objects."""

    first: int
    batch: pa.RecordBatch
    bound: int

    def __iter__(self) -> Iterator[RawRow]:
        sizes = parquet.text_bytes(self.batch).tolist()
        start = 0
        for end in [*(place for place, size in enumerate(sizes) if size > self.bound), self.batch.num_rows]:
            for place, values in enumerate(self.batch.slice(start, end - start).to_pylist(), start=self.first + start):
                yield RawRow(str(place), values)
            if end < self.batch.num_rows:
                detail = f"the row has {sizes[end]} bytes (corpora.max_row_bytes is {self.bound})"
                yield RawRow(str(self.first + end), None, _head(self.batch, end), Reason.TOO_LONG, detail)
            start = end + 1


def _head(batch: pa.RecordBatch, row: int) -> bytes:
    """The beginning of a row that is too long: its first text columns, cut."""
    parts = [
        column[row].as_buffer() for column in batch.columns if parquet.is_text(column.type) and column[row].is_valid
    ]
    return b"\n".join(part.slice(0, min(part.size, streams.KEPT)).to_pybytes() for part in parts)[: streams.KEPT]


def parse_line(row: str, line: bytes, header: tuple[str, ...] = ()) -> RawRow:
    """One JSON object; what is not UTF-8, not JSON or not an object keeps its bytes and gets a reason."""
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return RawRow(row, None, line, Reason.INVALID_UTF8, str(error)[:200])
    except (ValueError, RecursionError) as error:
        return RawRow(row, None, line, Reason.INVALID_JSON, str(error)[:200])
    if not isinstance(values, dict):
        return RawRow(row, None, line, Reason.NOT_AN_OBJECT, type(values).__name__)
    return RawRow(row, values, line)


def parse_record(row: str, line: bytes, header: tuple[str, ...]) -> RawRow:
    """One CSV record under its header; an empty field is null."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return RawRow(row, None, line, Reason.INVALID_UTF8, str(error)[:200])
    try:
        fields = next(csv.reader([text], delimiter=header[0], strict=True), [])
    except csv.Error as error:
        return RawRow(row, None, line, Reason.INVALID_CSV, str(error))
    if len(fields) != len(header) - 1:
        return RawRow(row, None, line, Reason.INVALID_CSV, f"{len(fields)} fields under {len(header) - 1} columns")
    return RawRow(row, {name: value or None for name, value in zip(header[1:], fields, strict=True)}, line)


def chunks(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    """The rows of a stored source in order, as a stream. Raises UserError, with the source's name, where it is unfit."""
    reader = {"jsonl": _jsonl, "json": _json, "csv": _csv, "parquet": _parquet, "hub": _hub}[source.kind]
    try:
        yield from reader(source, bounds)
    except streams.Cut as error:
        raise UserError(f"source {source.name}: {source.path} is cut off: {error}: fetch it again") from None
    except UserError as error:
        raise UserError(f"source {source.name}: {error}") from None


def rows(source: Source, bounds: Bounds) -> Iterator[RawRow]:
    """The rows of a stored source one by one."""
    for chunk in chunks(source, bounds):
        yield from chunk


def gathered(found: Iterable[RawRow]) -> Iterator[Chunk]:
    """Rows that come one by one, in chunks."""
    some: list[RawRow] = []
    for row in found:
        some.append(row)
        if len(some) == CHUNK_ROWS:
            yield Rows(some)
            some = []
    if some:
        yield Rows(some)


def _packed(
    found: Iterable[streams.Piece], parse: Callable[..., RawRow], bound: int, header: tuple[str, ...] = ()
) -> Iterator[Chunk]:
    some: list[streams.Piece] = []
    size = 0
    for piece in found:
        if isinstance(piece, streams.TooLong):
            size += len(piece.head)
        elif not piece[1].strip():
            continue
        else:
            size += len(piece[1])
        some.append(piece)
        if len(some) == CHUNK_ROWS or size > CHUNK_BYTES:
            yield Pieces(some, parse, header, bound)
            some, size = [], 0
    if some:
        yield Pieces(some, parse, header, bound)


def _jsonl(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    found = streams.lines(_named(source, bounds), bounds.row)
    return _packed(found, parse_line, bounds.row)


def _json(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    stream = _named(source, bounds)
    first = next(stream, b"")
    if first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{":  # one object a line is what many .json files hold
        return _packed(streams.lines(_again(first, stream), bounds.row), parse_line, bounds.row)
    return _packed(streams.elements(_again(first, stream), bounds.row), parse_line, bounds.row)


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _csv(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    csv.field_size_limit(max(bounds.row, csv.field_size_limit()))
    found = streams.records(streams.lines(_named(source, bounds), bounds.row), bounds.row)
    first = next(found, None)
    if first is None:
        return iter(())
    if isinstance(first, streams.TooLong):
        raise UserError(f"{source.path}: its first line, the header, has {first.size} bytes")
    delimiter = "\t" if ".tsv" in str(source.path) else ","
    try:
        names = next(csv.reader([first[1].decode("utf-8")], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{source.path}: its first line is no header: {error}") from None
    if len(set(names)) < len(names):
        raise UserError(f"{source.path}: two columns of its header have one name: {', '.join(names)}")
    return _packed(found, parse_record, bounds.row, (delimiter, *names))


def _named(source: Source, bounds: Bounds) -> Iterator[bytes]:
    return streams.blocks(str(source.path), bounds.expansion)


def _parquet(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    path = str(source.path)
    with streams.opened(path) as stored:
        number = 1
        try:
            for batch in parquet.batches(
                path, stored, rows=CHUNK_ROWS, size=CHUNK_BYTES, max_expansion=bounds.expansion
            ):
                yield Batch(number, batch, bounds.row)
                number += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200]
            raise UserError(f"{source.path} is not a whole Parquet file: {reason}") from None


def _hub(source: Source, bounds: Bounds) -> Iterator[Chunk]:
    import datasets

    datasets.disable_progress_bars()
    number = 1
    try:
        found = datasets.load_dataset(
            source.path, source.subset, split=source.split, revision=source.revision, streaming=True
        )
        for table in found.with_format("arrow").iter(batch_size=1000):
            for batch in table.to_batches():
                yield Batch(number, batch, bounds.row)
                number += batch.num_rows
    except GeneratorExit:
        raise
    except Exception as error:  # the library raises many kinds, all about what was asked for
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(f"dataset {source.path!r} can't be loaded (row {number}): {reason}") from None
