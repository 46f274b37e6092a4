"""Decontamination: no problem of an evaluation set may enter a prompt set, whole, in pieces or reworded.

Belongs here: the stage and its evidence. Does not belong here: how overlap is found (`overlap.py`), duplicates within
the corpus (`duplicates.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.corpora.evaluation_sets import evaluation_set_names
from kimi_pipeline.curation.overlap import index, matches
from kimi_pipeline.curation.verdicts import judge
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.row_digests import table_digest
from kimi_pipeline.shards import MapFunction
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "contamination@4"
COLUMNS = "problem_id, source || ':' || source_row as row, prompt, answer"


def find_contamination(context: Context) -> Outcome:
    """Verdicts under the evaluation sets of the run; their digest is part of the rule, so that other sets judge anew."""
    rule, function = held_against(context.lake, evaluation_set_names(context))
    return judge(context, "contamination", tables.CONTAMINATION, rule, COLUMNS, function)


def held_against(lake: Lake, names: Sequence[str]) -> tuple[str, MapFunction]:
    """The rule under these evaluation sets, and the function that judges a shard by it."""
    known = lake.sql(
        "select evaluation_set, problem_id, prompt, answer from evaluation_problems "
        "where evaluation_set in (select unnest(?)) order by list_position(?, evaluation_set), problem_id",
        [list(names)] * 2,
    )
    rule = f"{RULE}:{table_digest(known)[:8]}"
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, known.schema) as writer:
        writer.write_table(known)
    return rule, partial(judge_shard, sink.getvalue().to_pybytes(), rule)


def judge_shard(stored: bytes, rule: str, rows: pa.Table) -> pa.Table:
    """Verdict rows of a shard with the columns of `COLUMNS`. `stored` is the Arrow stream that `overlap.index` reads.

    Evidence: the row, the evaluation set and problem, and the span of the prompt that matches; never a text.
    """
    ids, named, texts, answers = (rows.column(name).to_pylist() for name in rows.column_names)
    found = matches(index(stored), ids, texts, answers)
    return pa.table(
        {
            "problem_id": rows.column("problem_id"),
            "verdict": pa.array([REFUSE if match else KEEP for match in found], pa.string()),
            "reason_code": pa.array([str(match.reason if match else Reason.CLEAN) for match in found], pa.string()),
            "evidence": pa.array(
                [f"{match} row {row}" if match else "" for match, row in zip(found, named, strict=True)], pa.string()
            ),
            "rule_version": pa.array([rule] * len(found), pa.string()),
        }
    )


CONTAMINATION = Stage(
    name="contamination",
    description="Refuse problems that evaluation sets hold: copies, pieces, rewordings",
    group="curation",
    compute=find_contamination,
    upstream=("corpus", "duplicates", "evaluation_problems"),
    settings=lambda context: {"sets": evaluation_set_names(context)},
    code=(
        __name__,
        "kimi_pipeline.curation.overlap",
        "kimi_pipeline.curation.near",
        "kimi_pipeline.curation.wording",
        "kimi_pipeline.curation.words",
    ),
    tables=(tables.CONTAMINATION,),
    kinds=("python", "deltalake"),
    by_profile=False,
)
