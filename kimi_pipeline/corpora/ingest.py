"""The corpus stage: sources in, `problems` and `quarantine` out, nothing lost between them.

Belongs here: which sources must be read, staging, one commit a source and table, the scope of a run. Does not belong
here: reading (`formats.py`), normalising (`batches.py`), which files stand aside until then (`staging.py`).

Every changed source is read to its end before the first commit, into files beside the lake: a source that turns out
unfit leaves the lake as it was. Memory holds a few chunks, whatever the size of a source.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora import gym
from kimi_pipeline.corpora.batches import NormaliseChunk, Normalised, SeenIds
from kimi_pipeline.corpora.builtin import read_builtin
from kimi_pipeline.corpora.coding_library import library, read_library
from kimi_pipeline.corpora.families.registry import MODULES as FAMILY_MODULES
from kimi_pipeline.corpora.formats import Bounds, Chunk, RawRow, chunks, gathered
from kimi_pipeline.corpora.mapping import check_fields
from kimi_pipeline.corpora.sources import FILES, Source, load_sources
from kimi_pipeline.corpora.staging import Staged, Staging
from kimi_pipeline.corpora.withdrawals import withdrawn_sources
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.ledger import KEEP, REFUSE, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage, code_version

RULE = "ingest@2"
PREVIEW_ROWS, PREVIEW_TEXT = 5, 160
SAY_SECONDS = 10
WRITING, READ = "writing", "read"

CODE = (
    tuple(
        f"kimi_pipeline.{name}"
        for name in (
            "corpora.answers",
            "corpora.batches",
            "corpora.builtin",
            "corpora.coding_library",
            "corpora.coding_problem",
            "corpora.formats",
            "corpora.free_form",
            "corpora.gym",
            "corpora.mapping",
            "corpora.normalise",
            "corpora.options",
            "corpora.sources",
            "corpora.streams",
            "identity",
            "problems",
            "rewards.extraction",
            "rewards.numbers",
            "rewards.units",
            "rewards.words",
        )
    )
    + FAMILY_MODULES
)
"""What a source's rows depend on besides its bytes."""

DECISIONS = f"""
    select '' as prompt_set, 'ingest' as stage, problem_id, source || ':' || source_row as subject,
           '{KEEP}' as verdict, '{Reason.NORMALISED}' as reason_code, '{{}}' as evidence, '' as checkpoint
    from problems where source in (select unnest($sources))
    union all
    select '', 'ingest', '', source || ':' || source_row, '{REFUSE}', reason_code, '{{}}', ''
    from quarantine where source in (select unnest($sources))
"""

ERASED = "(select problem_id from erasures where source = '')"
PROBLEM_ROWS = f"select * from read_parquet($problems) anti join {ERASED} using (problem_id)"
REFUSED_ROWS = f"""
    select * from read_parquet($refused) union all by name
    select source, source_row, '{Reason.WITHDRAWN}' as reason_code, '' as detail, null::blob as raw, planted
    from read_parquet($problems) semi join {ERASED} using (problem_id)
"""
"""The rows of a staged source; of a problem that was erased the id alone may come back."""

CONFLICTS = """
    with said as (
        select problem_id, source, source_row, answer, answer_kind from problems
        where source in (select unnest($sources)) and answer_kind not in ('none', 'code') and planted is null
    )
    select * from said semi join (
        select problem_id from said group by 1 having count(distinct answer) > 1
    ) using (problem_id) order by problem_id, source, source_row
"""
"""Rows of one problem that give different answers, as texts; `$sources`: the names of the sources."""


def source_names(context: Context) -> list[str]:
    """The sources of this run's profile that are not withdrawn: the scope of every stage that judges problems."""
    return list(context.sources) or [source.name for source in _sources(context)]


def _sources(context: Context) -> list[Source]:
    gone = withdrawn_sources(context.lake)
    sources = [source for source in load_sources(context.profile.corpora.sources) if source.name not in gone]
    if not sources:
        raise UserError("every source of this profile is withdrawn: add another to corpora.sources")
    return sources


def conflicting_answers(context: Context) -> list[dict[str, Any]]:
    """Rows (problem_id, source, source_row, answer, answer_kind) of problems whose rows don't give one same text as the
    answer. Whether two texts are one answer all the same ("1/2", "0.5") is for the verifier to say (`rewards/`)."""
    return context.lake.rows(CONFLICTS, {"sources": source_names(context)})


def bounds_of(context: Context) -> Bounds:
    corpora = context.profile.corpora
    return Bounds(corpora.max_text_bytes, corpora.max_row_bytes, corpora.max_expansion)


def _settings(context: Context) -> dict[str, Any]:
    corpora = context.profile.corpora
    sources = _sources(context)
    settings: dict[str, Any] = {
        "sources": [source.digest() for source in sources],
        "limit": corpora.limit,
        "max_text_bytes": corpora.max_text_bytes,
        "max_row_bytes": corpora.max_row_bytes,
    }
    if any(source.kind == "builtin" for source in sources):
        settings["builtin"] = _builtin_settings(context)
    if any(source.kind == "coding" for source in sources):
        settings["coding"] = _coding_settings(context)
    return settings


def _made_from(source: Source, context: Context) -> Any:
    """What a source that is no file is made from."""
    makers = {"builtin": _builtin_settings, "coding": _coding_settings}
    return makers[source.kind](context) if source.kind in makers else None


def _coding_settings(context: Context) -> str:
    return digest([one.row() for one in library(context.profile)])


def _builtin_settings(context: Context) -> list[Any]:
    corpora = context.profile.corpora
    return [
        corpora.problems_per_family,
        corpora.held_out_share,
        corpora.evaluation_problems,
        corpora.families,
    ]


@dataclass(frozen=True)
class Reading:
    """A source as it is to be read: at most `limit` rows, under what `fingerprint` names."""

    source: Source
    limit: int | None
    fingerprint: str

    @classmethod
    def of(cls, source: Source, limit: int | None, context: Context) -> Reading:
        bounds = bounds_of(context)
        builtin = _made_from(source, context)
        named = [source.digest(), limit, bounds.text, bounds.row, builtin, code_version(CODE)]
        return cls(source, limit, digest(named))


def ingest(context: Context) -> Outcome:
    """Read the sources that changed and write them. Raises UserError before anything is written where one is unfit."""
    sources = _sources(context)
    before = {row["source"]: row for row in context.lake.read(tables.SOURCE_READS).to_pylist()}
    counts: dict[str, dict[str, Any]] = {}
    changed: list[Staged] = []
    left = context.profile.corpora.limit
    with Staging(context.home.root / "staging") as staging:
        for source in sources:
            reading = Reading.of(source, left, context)
            known = before.get(source.name)
            if known is None or known["state"] != READ or known["fingerprint"] != reading.fingerprint:
                staged = _stage(reading, context, staging)
                changed.append(staged)
                known = staged.counts()
            counts[source.name] = known
            left = None if left is None else left - known["rows"]
        for staged in changed:
            _commit(staged, context)
    return _outcome(counts, [staged.source for staged in changed], context)


def _stage(reading: Reading, context: Context, staging: Staging) -> Staged:
    """Read one source to its end, into files beside the lake."""
    source, bounds = reading.source, bounds_of(context)
    if source.kind not in ("builtin", "coding", "reasoning_gym"):
        check_fields(source, bounds)
    staged = staging.begin(source.name, reading.fingerprint)
    work, seen = NormaliseChunk(source, bounds), SeenIds()
    started = said = time.monotonic()
    for chunk, made in context.shards.ordered(work, _chunks(reading, context)):
        staged.write(_without_repeats(work, chunk, made, seen))
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            context.say(f"corpus: {source.name}: {staged.rows:,} rows, {staged.rows / (said - started):,.0f}/s")
    staged.close()
    if not staged.rows and reading.limit is None:
        raise UserError(f"source {source.name} holds no rows: remove it from corpora.sources or mend its path")
    if source.kind in FILES and Reading.of(source, reading.limit, context).fingerprint != reading.fingerprint:
        raise UserError(f"source {source.name}: {source.path} changed while it was read: run again when it is complete")
    return staged


def _chunks(reading: Reading, context: Context) -> Iterator[Chunk]:
    source = reading.source
    if source.kind == "builtin":
        return gathered(islice(read_builtin(context.profile), reading.limit))
    if source.kind == "coding":
        return gathered(islice(read_library(context.profile), reading.limit))
    if source.kind == "reasoning_gym":
        return gathered(islice(gym.read(source), reading.limit))
    if reading.limit is None:
        return chunks(source, bounds_of(context))
    rows: Iterator[RawRow] = (row for chunk in chunks(source, bounds_of(context)) for row in chunk)
    return gathered(islice(rows, reading.limit))


def _without_repeats(work: NormaliseChunk, chunk: Chunk, made: Normalised, seen: SeenIds) -> Normalised:
    repeated = seen.repeated(made.ids)
    return work.without_repeats(chunk, made, repeated) if repeated.any() else made


def _commit(staged: Staged, context: Context) -> None:
    """Replace a source's rows. Until the last line the source counts as unread, so that a kill costs reading it again."""
    name = staged.source
    _say_state(staged, WRITING, context)
    for table, query in ((tables.PROBLEMS, PROBLEM_ROWS), (tables.QUARANTINE, REFUSED_ROWS)):
        paths = {"problems": str(staged.problems), "refused": str(staged.refused)}
        context.lake.replace_query(
            table,
            query,
            {name: path for name, path in paths.items() if f"${name}" in query},
            where=f"source = '{name}'",
            run_id=context.run_id,
            reason=f"ingest {name}",
        )
    record_query(
        context.lake,
        DECISIONS,
        {"sources": [name]},
        stages=["ingest"],
        parameters={"fingerprint": staged.fingerprint},
        actor=RULE,
        run_id=context.run_id,
    )
    _say_state(staged, READ, context)


def _say_state(staged: Staged, state: str, context: Context) -> None:
    row = {"source": staged.source, "state": state, "fingerprint": staged.fingerprint, **staged.counts()}
    context.lake.upsert(tables.SOURCE_READS, [row], run_id=context.run_id, reason=f"{state} {staged.source}")


def _outcome(counts: dict[str, dict[str, Any]], changed: list[str], context: Context) -> Outcome:
    names = list(counts)
    total = {key: sum(count[key] for count in counts.values()) for key in ("rows", "problems", "quarantined")}
    conflicts = len({row["problem_id"] for row in conflicting_answers(context)})
    preview = [
        row
        for name in names
        for row in context.lake.rows(
            f"select source, source_row as row, left(prompt, {PREVIEW_TEXT}) as prompt, answer from problems "
            f"where source = ? order by cast(source_row as bigint) limit {PREVIEW_ROWS}",
            [name],
        )
    ]
    return Outcome(
        data_version=digest([[name, counts[name]["data_version"]] for name in sorted(names)]),
        figures=total
        | {"sources": len(names), "sources_read": len(changed), "problems_with_conflicting_answers": conflicts},
        outputs={"sources": names},
        preview=preview,
    )


CORPUS = Stage(
    name="corpus",
    description="Read the sources that changed, normalise their rows, quarantine what can't be a problem",
    group="corpora",
    compute=ingest,
    settings=_settings,
    code=(*CODE, __name__),
    tables=(tables.PROBLEMS, tables.QUARANTINE, tables.SOURCE_READS),
    kinds=("python", "deltalake"),
    by_profile=False,
)
