"""Batches: a chunk of a source in, its rows of `problems` and `quarantine` out, as Arrow.

Belongs here: what a worker does with a chunk, repeated ids within a source. Does not belong here: reading (`formats.py`),
one row's treatment (`normalise.py`), writing (`ingest.py`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.formats import Bounds, Chunk, RawRow
from kimi_pipeline.corpora.normalise import Normaliser, Refusal
from kimi_pipeline.corpora.sources import Source
from kimi_pipeline.corpora.streams import KEPT
from kimi_pipeline.digests import digest
from kimi_pipeline.problems import Problem
from kimi_pipeline.reasons import Reason
from kimi_pipeline.tables import Table

DETAIL = 500
MOST_RUNS = 8  # sorted runs of ids that are searched one after the other before they are merged


def content_schema(table: Table) -> pa.Schema:
    """A table's columns without those that say who and when."""
    return pa.schema([field for field in table.schema if field.name not in table.volatile])


PROBLEM_COLUMNS = content_schema(tables.PROBLEMS)
QUARANTINE_COLUMNS = content_schema(tables.QUARANTINE)


@dataclass(frozen=True)
class Normalised:
    """A chunk's rows. `ids` are 64 bits of the ids that the source gives its problems, 0 where it gives none."""

    problems: pa.Table
    refused: pa.Table
    ids: np.ndarray[Any, np.dtype[np.uint64]]

    @property
    def digest(self) -> str:
        """The digest of the content, in order."""
        parts = [hashlib.sha256(_as_bytes(rows)).hexdigest() for rows in (self.problems, self.refused)]
        return digest(parts)


def _as_bytes(rows: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    return memoryview(sink.getvalue())


@dataclass(frozen=True)
class NormaliseChunk:
    """What a worker does: a chunk of `source` into `Normalised`."""

    source: Source
    bounds: Bounds

    def __call__(self, chunk: Chunk) -> Normalised:
        normalise = Normaliser(self.source, self.bounds)
        problems: list[Problem] = []
        refused: list[dict[str, Any]] = []
        ids: list[int] = []
        for raw in chunk:
            result = normalise(raw)
            if isinstance(result, Problem):
                problems.append(result)
                ids.append(_id_bits(normalise.given_id(raw)))
            else:
                refused.append(quarantine_row(normalise, raw, result))
        return Normalised(
            problem_table(problems),
            pa.Table.from_pylist(refused, schema=QUARANTINE_COLUMNS),
            np.array(ids, dtype=np.uint64),
        )

    def without_repeats(
        self, chunk: Chunk, made: Normalised, repeated: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> Normalised:
        """The same with the problems at `repeated` moved to quarantine, their bytes taken from the chunk again."""
        rows = made.problems.column("source_row").filter(pa.array(repeated)).to_pylist()
        normalise, wanted = Normaliser(self.source, self.bounds), set(rows)
        moved = [
            quarantine_row(
                normalise,
                raw,
                Refusal(Reason.DUPLICATE_SOURCE_ID, f"{self.source.fields.id}: {normalise.given_id(raw)}"),
            )
            for raw in chunk
            if raw.row in wanted
        ]
        return Normalised(
            made.problems.filter(pa.array(~repeated)),
            pa.concat_tables([made.refused, pa.Table.from_pylist(moved, schema=QUARANTINE_COLUMNS)]),
            made.ids[~repeated],
        )


def problem_table(problems: list[Problem]) -> pa.Table:
    """Problems as rows of the `problems` table, in columns: a dictionary a row would cost more than reading it."""
    columns: dict[str, Any] = {"problem_id": [p.problem_id for p in problems]}
    for name in (
        "source",
        "source_row",
        "prompt",
        "answer",
        "answer_kind",
        "domain",
        "discipline",
        "language",
        "licence",
    ):
        columns[name] = [getattr(p, name) for p in problems]
    columns["options"] = [p.options for p in problems]
    columns["images"] = [[{"media_type": i.media_type, "data": i.data} for i in p.images] for p in problems]
    columns["submissions"] = [
        [{"language": s.language, "program": s.program, "verdict": s.verdict} for s in p.submissions] for p in problems
    ]
    columns["labels"] = [list(p.labels.items()) for p in problems]
    columns["planted"] = [p.planted for p in problems]
    arrays = [pa.array(columns[field.name], field.type) for field in PROBLEM_COLUMNS]
    return pa.table(arrays, schema=PROBLEM_COLUMNS)


def quarantine_row(normalise: Normaliser, raw: RawRow, refusal: Refusal) -> dict[str, Any]:
    """The row of the `quarantine` table: why, and enough of the row's bytes to find it in the source."""
    planted = normalise.planted(raw)
    return {
        "source": normalise.source.name,
        "source_row": raw.row,
        "reason_code": str(refusal.reason),
        "detail": refusal.detail[:DETAIL].encode("utf-8", "replace").decode(),
        "raw": raw.raw[:KEPT],
        "planted": None if planted is None else planted.encode("utf-8", "replace").decode(),
    }


def _id_bits(given: str | None) -> int:
    if given is None:
        return 0
    found = hashlib.blake2b(given.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(found, "little") or 1


class SeenIds:
    """Which ids a source has given before: eight bytes an id, in sorted runs.

    Two ids in 2**64 are taken for one: at a million rows the chance that any pair is, is 3 in 10**8.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray[Any, np.dtype[np.uint64]]] = []

    def repeated(self, ids: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """[n] booleans: which of `ids` came before, in an earlier call or further up in this one. 0 never repeats."""
        found = np.ones(len(ids), dtype=bool)
        _, first = np.unique(ids, return_index=True)
        found[first] = False
        for run in self._runs:
            place = np.searchsorted(run, ids)
            found |= run[np.minimum(place, len(run) - 1)] == ids
        found &= ids != 0
        fresh = np.sort(ids[~found & (ids != 0)])
        if len(fresh):
            self._runs.append(fresh)
        if len(self._runs) > MOST_RUNS:
            self._runs = [np.sort(np.concatenate(self._runs))]
        return found
