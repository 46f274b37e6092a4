"""Parquet: batches of rows whose decoded size is bounded, whatever the file says it holds.

Belongs here: reading row groups, and refusing a file that expands without bound. Does not belong here: rows
(`formats.py`), other formats.

A page of zeros or a dictionary of one long text, named ten thousand times, is a few kilobytes stored and gigabytes in
memory. Texts are therefore read as the dictionary that they are stored as, measured, and decoded a few at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kimi_pipeline.corpora import streams
from kimi_pipeline.errors import UserError

Sizes = NDArray[np.int64]


def batches(path: str, stored: Any, *, rows: int, size: int, max_expansion: int) -> Iterator[pa.RecordBatch]:
    """The rows in order, in batches of at most `rows` rows and about `size` decoded bytes of text.

    Raises UserError where the file expands more than `max_expansion`-fold beyond 64 MiB, before it does; what Arrow raises
    where it is no Parquet file.
    """
    handle = pa.PythonFile(stored, mode="r") if streams.is_url(path) else stored
    texts = [field.name for field in pq.ParquetFile(handle).schema_arrow if is_text(field.type)]
    handle.seek(0)
    file = pq.ParquetFile(handle, read_dictionary=texts)
    packed, decoded = 0, 0
    for group in range(file.num_row_groups):
        found = file.metadata.row_group(group)
        columns = [found.column(k) for k in range(found.num_columns)]
        packed += sum(column.total_compressed_size for column in columns)
        _bounded(path, decoded + found.total_byte_size, packed, max_expansion)
        wide = max(1, found.total_byte_size // max(1, found.num_rows))
        for batch in file.iter_batches(batch_size=max(1, min(rows, size // wide)), row_groups=[group]):
            sizes = text_bytes(batch)
            decoded += int(sizes.sum())
            _bounded(path, decoded, packed, max_expansion)
            yield from _decoded(batch, sizes, size)


def _bounded(path: str, decoded: int, packed: int, max_expansion: int) -> None:
    if decoded > streams.UNCHECKED and decoded > max_expansion * max(1, packed):
        raise UserError(
            f"{path} expands more than {max_expansion}-fold (a compression bomb?): "
            "if it is sound, raise corpora.max_expansion"
        )


def _decoded(batch: pa.RecordBatch, sizes: Sizes, size: int) -> Iterator[pa.RecordBatch]:
    """The batch without dictionaries, in slices of at most `size` bytes of text (or one row)."""
    start, ends = 0, np.cumsum(sizes)
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + size, "right")))
        columns = [_plain(column) for column in batch.slice(start, end - start).columns]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
        start = end


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def text_bytes(batch: pa.RecordBatch) -> Sizes:
    """The decoded bytes of each row's text and binary columns, those of structs included."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        for part in column.flatten() if pa.types.is_struct(column.type) else [column]:
            if pa.types.is_dictionary(part.type) and is_text(part.type.value_type):
                lengths = pc.take(pc.binary_length(part.dictionary), part.indices)
            elif is_text(part.type):
                lengths = pc.binary_length(part)
            else:
                continue
            total += pc.cast(pc.fill_null(lengths, 0), pa.int64()).to_numpy(zero_copy_only=False)
    return total


def is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
    )
