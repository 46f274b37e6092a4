"""Evaluation sets: the built-in held-out problems, and named sets of others that no prompt set may hold.

Belongs here: reading them into `evaluation_problems`, each under its own name. Does not belong here: comparing a corpus
with them (`curation/contamination.py`), measuring a checkpoint on them (`evaluation/`).

A set needs its prompts alone: a row without an answer is still a problem that must not be trained on, and is kept with
the answer kind `none`.
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.corpora.batches import quarantine_row
from kimi_pipeline.corpora.builtin import EVALUATION_SET, evaluation_problems
from kimi_pipeline.corpora.formats import Bounds, rows
from kimi_pipeline.corpora.ingest import CODE, bounds_of
from kimi_pipeline.corpora.mapping import check_fields
from kimi_pipeline.corpora.normalise import Normaliser, Refusal
from kimi_pipeline.corpora.sources import Source, load_sources
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import Problem
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Outcome, Stage

WITHOUT_ANSWER = (Reason.MISSING_ANSWER, Reason.NO_FINAL_ANSWER)


def evaluation_set_names(context: Context) -> list[str]:
    """The evaluation sets of this run: the built-in one first, then those of `corpora.evaluation_sets` in their order."""
    return [EVALUATION_SET, *(source.name for source in _sources(context))]


def quarantine_name(evaluation_set: str) -> str:
    """The `source` of a set's rows in quarantine; no corpus can be named so, even one read from the same file."""
    return f"evaluation:{evaluation_set}"


def _sources(context: Context) -> list[Source]:
    entries = context.profile.corpora.evaluation_sets
    sources = load_sources(entries, answers=False) if entries else []
    for source in sources:
        if source.kind in ("builtin", "coding", "reasoning_gym") or source.name == EVALUATION_SET:
            raise UserError(
                f"corpora.evaluation_sets: {source.name} is generated or its name is taken by the built-in problems: "
                "give a file, or rename the source"
            )
    return sources


def _settings(context: Context) -> dict[str, Any]:
    corpora = context.profile.corpora
    return {
        "n": corpora.evaluation_problems,
        "families": corpora.families,
        "held_out_share": corpora.held_out_share,
        "sets": [source.digest() for source in _sources(context)],
        "max_text_bytes": corpora.max_text_bytes,
    }


def write_evaluation_problems(context: Context) -> Outcome:
    """Read every set, then write them. Raises UserError before anything is written where a set is unfit or empty."""
    bounds = bounds_of(context)
    sets = {EVALUATION_SET: evaluation_problems(context.profile)}
    refused: dict[str, list[dict[str, Any]]] = {}
    for source in _sources(context):
        check_fields(source, bounds)
        sets[source.name], refused[source.name] = _read(source, bounds)
        if not sets[source.name]:
            raise UserError(f"evaluation set {source.name} holds no problem: check it with `sources check`")
    for name, problems in sets.items():
        context.lake.replace(
            tables.EVALUATION_PROBLEMS,
            [_row(name, problem) for problem in problems],
            where=f"evaluation_set = '{name}'",
            run_id=context.run_id,
            reason=f"evaluation set {name}",
        )
    for name, bad in refused.items():
        where = f"source = '{quarantine_name(name)}'"
        context.lake.replace(
            tables.QUARANTINE, bad, where=where, run_id=context.run_id, reason=f"evaluation set {name}"
        )
    overlap = context.lake.rows(
        "select count(distinct p.problem_id) n from problems p join evaluation_problems e using (problem_id) "
        "where e.evaluation_set in (select unnest(?)) and p.planted is distinct from 'evaluation_copy'",
        [list(sets)],
    )
    written = [("evaluation_set", "in", list(sets))]
    return Outcome(
        data_version=digest(
            [context.lake.digest(tables.EVALUATION_PROBLEMS, where=written)]
            + [
                context.lake.digest(tables.QUARANTINE, where=[("source", "=", quarantine_name(name))])
                for name in refused
            ]
        ),
        figures={
            "problems": sum(map(len, sets.values())),
            "overlap_with_corpus": overlap[0]["n"],
            "sets": len(sets),
            "quarantined": sum(map(len, refused.values())),
        },
        outputs={"evaluation_set": EVALUATION_SET, "sets": {name: len(problems) for name, problems in sets.items()}},
        preview=[
            {"set": name, "prompt": problem.prompt, "answer": problem.answer, "domain": problem.domain}
            for name, problems in sets.items()
            for problem in problems[:5]
        ],
    )


def _read(source: Source, bounds: Bounds) -> tuple[list[Problem], list[dict[str, Any]]]:
    """A set's problems, one an id, and its rows that hold none."""
    normalise = Normaliser(source, bounds)
    answerless = source.model_copy(
        update={"answer_kind": "none", "fields": source.fields.model_copy(update={"answer": None})}
    )
    without_answer = Normaliser(answerless, bounds)
    found: dict[str, Problem] = {}
    refused = []
    for raw in rows(source, bounds):
        result = normalise(raw)
        if isinstance(result, Refusal) and result.reason in WITHOUT_ANSWER:
            result = without_answer(raw)
        if isinstance(result, Refusal):
            refused.append(quarantine_row(normalise, raw, result) | {"source": quarantine_name(source.name)})
        else:
            found.setdefault(result.problem_id, result)
    return list(found.values()), refused


def _row(name: str, problem: Problem) -> dict[str, Any]:
    return {
        "evaluation_set": name,
        "problem_id": problem.problem_id,
        "prompt": problem.prompt,
        "answer": problem.answer,
        "answer_kind": problem.answer_kind,
        "domain": problem.domain,
        "labels": list(problem.labels.items()),
    }


EVALUATION_PROBLEMS = Stage(
    name="evaluation_problems",
    description="Held-out problems that checkpoints are measured on, and public sets that no prompt set may hold",
    group="corpora",
    compute=write_evaluation_problems,
    upstream=("corpus",),
    settings=_settings,
    code=(
        *CODE,
        __name__,
    ),
    tables=(tables.EVALUATION_PROBLEMS, tables.QUARANTINE),
    kinds=("python", "deltalake"),
    by_profile=False,
)
