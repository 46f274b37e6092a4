"""The corpus stage: sources in, `problems` and `quarantine` out, nothing lost between them.

Belongs here: checking every source before the first write, one commit a source and table, the scope of a run.
Does not belong here: reading (`sources.py`, `builtin.py`) and normalising (`normalise.py`) rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.builtin import read_builtin
from kimi_pipeline.corpora.normalise import Refusal, normalise
from kimi_pipeline.corpora.sources import RawRow, Source, check_fields, load_sources, read_rows
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.ledger import KEEP, REFUSE, Decision, record
from kimi_pipeline.problems import Problem
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "ingest@1"
RAW_KEPT_BYTES = 65_536  # of a quarantined row's own bytes; enough to find it in the source
PREVIEW_TEXT = 160


def source_names(context: Context) -> list[str]:
    """The sources of this run's profile: the scope of every stage that judges problems."""
    return [source.name for source in load_sources(context.profile.corpora.sources)]


def _settings(context: Context) -> dict[str, Any]:
    corpora = context.profile.corpora
    sources = load_sources(corpora.sources)
    settings: dict[str, Any] = {
        "sources": [source.digest() for source in sources],
        "limit": corpora.limit,
        "max_text_bytes": corpora.max_text_bytes,
    }
    if any(source.kind == "builtin" for source in sources):
        settings["builtin"] = [corpora.problems_per_family, corpora.held_out_share, corpora.evaluation_problems]
    return settings


def ingest(context: Context) -> Outcome:
    """Read all sources and write them. Raises UserError before anything is written where a source is unfit."""
    corpora = context.profile.corpora
    sources = load_sources(corpora.sources)
    for source in sources:
        check_fields(source)
    left = corpora.limit
    problems: dict[str, list[Problem]] = {}
    quarantined: dict[str, list[dict[str, Any]]] = {}
    for source in sources:
        good, bad, read = _read(source, context, left)
        if not read and left is None:
            raise UserError(f"source {source.name} holds no rows: remove it from corpora.sources or mend its path")
        left = None if left is None else left - read
        problems[source.name], quarantined[source.name] = good, bad
    decisions: list[Decision] = []
    for source in sources:
        for table, rows in (
            (tables.PROBLEMS, [problem.row() for problem in problems[source.name]]),
            (tables.QUARANTINE, quarantined[source.name]),
        ):
            context.lake.replace(
                table, rows, where=f"source = '{source.name}'", run_id=context.run_id, reason=f"ingest {source.name}"
            )
        decisions += [
            Decision("ingest", p.problem_id, KEEP, Reason.NORMALISED, subject=f"{p.source}:{p.source_row}")
            for p in problems[source.name]
        ]
        decisions += [
            Decision("ingest", "", REFUSE, Reason(row["reason_code"]), subject=f"{row['source']}:{row['source_row']}")
            for row in quarantined[source.name]
        ]
    record(context.lake, decisions, parameters=_settings(context), actor=RULE, run_id=context.run_id)
    kept, refused = sum(map(len, problems.values())), sum(map(len, quarantined.values()))
    names = list(problems)
    return Outcome(
        data_version=digest(
            [context.lake.digest(t, where=[("source", "in", names)]) for t in (tables.PROBLEMS, tables.QUARANTINE)]
        ),
        figures={"rows": kept + refused, "problems": kept, "quarantined": refused, "sources": len(sources)},
        outputs={"sources": names},
        preview=[
            {"source": p.source, "row": p.source_row, "prompt": p.prompt[:PREVIEW_TEXT], "answer": p.answer}
            for rows in problems.values()
            for p in rows[:5]
        ],
    )


def _rows(source: Source, context: Context, limit: int | None) -> Iterator[RawRow]:
    rows = read_builtin(context.profile) if source.kind == "builtin" else read_rows(source)
    return islice(rows, limit)


def _read(source: Source, context: Context, limit: int | None) -> tuple[list[Problem], list[dict[str, Any]], int]:
    good: list[Problem] = []
    bad: list[dict[str, Any]] = []
    seen_ids: set[str] = set()
    for raw in _rows(source, context, limit):
        result = normalise(source, raw, context.profile.corpora.max_text_bytes)
        given = raw.values.get(source.fields.id) if raw.values is not None and source.fields.id else None
        if given is not None and isinstance(result, Problem):
            if str(given) in seen_ids:
                result = Refusal(Reason.DUPLICATE_SOURCE_ID, f"{source.fields.id}: {given}")
            seen_ids.add(str(given))
        if isinstance(result, Problem):
            good.append(result)
            continue
        bad.append(quarantine_row(source, raw, result))
    return good, bad, len(good) + len(bad)


def quarantine_row(source: Source, raw: RawRow, refusal: Refusal) -> dict[str, Any]:
    """The row of the `quarantine` table: why, and enough of the row's bytes to find it in the source."""
    planted = raw.planted
    if planted is None and raw.values is not None and source.fields.planted:
        planted = raw.values.get(source.fields.planted)
    return {
        "source": source.name,
        "source_row": raw.row,
        "reason_code": str(refusal.reason),
        "detail": refusal.detail[:500],
        "raw": raw.raw[:RAW_KEPT_BYTES],
        "planted": planted,
    }


CORPUS = Stage(
    name="corpus",
    description="Read the sources, normalise their rows, quarantine what can't be a problem",
    group="corpora",
    compute=ingest,
    settings=_settings,
    code=(
        "kimi_pipeline.corpora.sources",
        "kimi_pipeline.corpora.normalise",
        "kimi_pipeline.problems",
        "kimi_pipeline.rewards.extraction",
        "kimi_pipeline.rewards.numbers",
        __name__,
    ),
    tables=(tables.PROBLEMS, tables.QUARANTINE),
    kinds=("python", "deltalake"),
)
