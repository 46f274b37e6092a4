"""Merging versions of prompt sets: files that hold one version or a few become one that holds many, ordered by problem.

Belongs here: which files are merged, and how. Does not belong here: when (`tidying.py`); other tables, whose small files
Delta merges itself.

A version repeats nearly every row of the one before it. In the order of the problems, what is repeated lies side by side: it
takes hardly more bytes than once, and to find a problem one row group of a file is read however many versions the file
holds. Files that Delta merges hold each version's rows apart.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pyarrow as pa
from deltalake import write_deltalake

from kimi_pipeline import database
from kimi_pipeline.commits import commit_options, layout, room
from kimi_pipeline.lake import Lake
from kimi_pipeline.tables import PROMPT_SET
from kimi_pipeline.tables.lineage import turn_of

TOGETHER = 16  # versions in a file at most: whoever reads one of them passes over the others


class Span(NamedTuple):
    """The versions `first` to `last` of a set, which lie in so many files."""

    prompt_set: str
    first: int
    last: int
    files: int


def merge(lake: Lake, spans: list[Span], *, run_id: str) -> int:
    """Write each span's rows into one file, a commit each; returns how many files were merged. The content stays as it is."""
    for span in spans:
        with lake.in_turn(turn_of(span.prompt_set)):  # a cut might write a version's rows anew
            _merge(lake, span, run_id)
    return sum(span.files for span in spans)


def _merge(lake: Lake, span: Span, run_id: str) -> None:
    # Opened before the rows are read: had anybody changed these versions since, Delta would refuse the commit.
    delta = lake.delta(PROMPT_SET)
    batches = lake.stream(
        "select * from prompt_set where prompt_set = ? and version between ? and ? order by problem_id, version",
        [span.prompt_set, span.first, span.last],
    )
    first = list(itertools.islice(batches, 1))  # the query opens its table here: inside the commit it can't
    stamped = (lake.arrow(PROMPT_SET, batch, run_id) for batch in itertools.chain(first, batches))
    rows = (piece for table in stamped for piece in table.to_batches())
    where = f"prompt_set = '{span.prompt_set}' and version >= {span.first} and version <= {span.last}"
    with room(PROMPT_SET, lake.root):
        write_deltalake(
            delta,
            pa.RecordBatchReader.from_batches(PROMPT_SET.schema, rows),
            mode="overwrite",
            predicate=where,
            writer_properties=layout(PROMPT_SET, None, compression="ZSTD"),
            **commit_options(PROMPT_SET, run_id, "versions merged"),
        )


def spans(lake: Lake) -> dict[str, list[Span]]:
    """By set, what can be merged: files side by side that hold `TOGETHER` versions at most, together."""
    found: dict[str, list[Span]] = {}
    for prompt_set, first, last in _files(lake):
        of_set = found.setdefault(prompt_set, [])
        if of_set and max(of_set[-1].last, last) - of_set[-1].first < TOGETHER:
            known = of_set.pop()
            of_set.append(known._replace(last=max(known.last, last), files=known.files + 1))
        else:
            of_set.append(Span(prompt_set, first, last, 1))
    return {name: [span for span in of_set if span.files > 1] for name, of_set in found.items()}


def _files(lake: Lake) -> list[tuple[str, int, int]]:
    """Each file's set, and the first and the last version in it, in this order. By the rows: the log knows them no more where
    a text was erased."""
    files = lake.files(PROMPT_SET)
    if not files:
        return []
    with database.connection() as db:
        return db.execute(
            "select prompt_set, min(version), max(version) from read_parquet($files, hive_partitioning = true, "
            "hive_types_autocast = false, filename = true) group by prompt_set, filename order by all",
            {"files": files},
        ).fetchall()
