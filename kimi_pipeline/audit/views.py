"""Views for analysts: `kimi-pipeline sql`, read-only, over columns that are a contract.

Belongs here: the views with the meaning of each column, and running one query over them. Does not belong here: tables
(`tables/`), which may change under the views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import IN_FORCE

READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


@dataclass(frozen=True)
class View:
    """A view: its query over the lake's tables and the meaning of each of its columns, in their order."""

    query: str
    about: str
    columns: dict[str, str]


VIEWS: dict[str, View] = {
    "problems": View(
        "select p.problem_id, p.source, p.source_row, p.prompt, p.answer, p.answer_kind, t.domain, t.discipline, "
        "p.language, p.licence, p.labels, p.planted from lake.problems p "
        "left join (select problem_id, domain, discipline from lake.tags) t using (problem_id)",
        "a row a source row that became a problem; rows of one problem_id repeat each other",
        {
            "problem_id": "hash of the normalised content",
            "source": "the source's name",
            "source_row": "the row's number or key in the source",
            "prompt": "the question, as given",
            "answer": "the reference answer",
            "answer_kind": "integer, rational, real, expression, set, ...",
            "domain": "the tag: mathematics, coding, ...",
            "discipline": "the tag below it",
            "language": "en, zh, ...",
            "licence": "the source's licence",
            "labels": "what the source itself says: type, level, ...",
            "planted": "built-in rows: what the row was made to be",
        },
    ),
    "samples": View(
        "select sample_id, problem_id, purpose, checkpoint, template, temperature, sample_index, iteration, "
        "prompt_tokens, completion_tokens, text, finish_reason, extracted_answer, status, status_reason, reward, cost, "
        "created_at from lake.samples",
        "a row a generation; append-only",
        {
            "sample_id": "digest of what was asked",
            "problem_id": "of which problem",
            "purpose": "difficulty, guess, rollout, evaluation, ...",
            "checkpoint": "digest of the weights (rollouts: the policy's name)",
            "template": "wording of the prompt, with its version",
            "temperature": "of sampling",
            "sample_index": "0 to k - 1",
            "iteration": "of RL; null elsewhere",
            "prompt_tokens": "tokens",
            "completion_tokens": "tokens",
            "text": "the response",
            "finish_reason": "stop, length, error, ...",
            "extracted_answer": "the answer found in it",
            "status": "correct, wrong, no_answer, unverifiable, infrastructure_error",
            "status_reason": "why, where the status needs one",
            "reward": "the verdict as a number; null where there is none",
            "cost": "money, at the endpoint's price",
            "created_at": "when it was committed, UTC",
        },
    ),
    "difficulty": View(
        "select problem_id, checkpoint, template, n, correct, pass_rate, low, high from lake.difficulty",
        "a row a problem, checkpoint and template",
        {
            "problem_id": "of which problem",
            "checkpoint": "digest of the weights that answered",
            "template": "wording of the prompt",
            "n": "answers with a verdict",
            "correct": "right ones",
            "pass_rate": "correct / n",
            "low": "Wilson interval, 95 %",
            "high": "Wilson interval, 95 %",
        },
    ),
    "ledger": View(
        f"""
        select l.prompt_set, l.stage, l.problem_id, l.subject, l.verdict, l.reason_code, l.evidence, l.checkpoint,
               l.parameters, l.actor, l.run_id, l.created_at, f.created_at is not null as in_force
        from lake.ledger l left join ({IN_FORCE.replace("from ledger", "from lake.ledger")}) f
          on l.prompt_set = f.prompt_set and l.stage = f.stage and l.problem_id = f.problem_id
         and l.subject = f.subject and l.created_at = f.created_at
        """,
        "a row a decision that changed something; append-only",
        {
            "prompt_set": "the set it holds for; empty: for all",
            "stage": "which stage decided",
            "problem_id": "on which problem; empty: on a source row",
            "subject": "source:row where a row was decided on",
            "verdict": "keep or refuse",
            "reason_code": "see `kimi-pipeline reasons`",
            "evidence": "JSON: references and numbers",
            "checkpoint": "digest of the weights it rests on",
            "parameters": "digest of the thresholds",
            "actor": "rule and version, or a person",
            "run_id": "which run",
            "created_at": "when, UTC",
            "in_force": "whether no newer decision replaced it",
        },
    ),
    "prompt_set": View(
        "select m.prompt_set, m.version, m.problem_id, m.prompt, m.answer, m.answer_kind, m.domain, m.bucket, "
        "m.pass_rate, m.weight, m.reason from lake.prompt_set m "
        "semi join lake.prompt_set_versions v on m.prompt_set = v.prompt_set and m.version = v.version",
        "a row a problem and version of a set",
        {
            "prompt_set": "the set's name",
            "version": "1, 2, ...",
            "problem_id": "of which problem",
            "prompt": "the question",
            "answer": "the reference answer",
            "answer_kind": "integer, rational, ...",
            "domain": "the tag",
            "bucket": "unsolved, hard, medium or easy",
            "pass_rate": "at the time of the cut",
            "weight": "for prompt sampling",
            "reason": "why it is in",
        },
    ),
}


def query(lake: Lake, text: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of one reading statement over the views.

    Nothing can be written, and no file outside the lake can be read: other statements are refused, DuckDB's access to
    files is limited to the lake's folder, and its settings are locked. Raises UserError with DuckDB's own first line.
    """
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise UserError(f"sql: {_first_line(error)}") from None
    if len(statements) != 1 or statements[0].type not in READS:
        raise UserError("sql: give one statement that reads (select ..., with ..., describe VIEW)")
    with lake.opened() as db:
        for name, view in VIEWS.items():
            db.execute(f"create view main.{name} as {view.query}")
        db.execute("set search_path = 'main,lake'")  # a table that no view hides is found by its name
        db.execute(f"set allowed_directories = ['{str(lake.root).replace(chr(39), chr(39) * 2)}/']")
        db.execute("set enable_external_access = false")
        db.execute("set lock_configuration = true")
        try:
            found = db.execute(statements[0], parameters=list(parameters) or None)
            return [column[0] for column in found.description or ()], found.fetchall()
        except duckdb.Error as error:
            hint = (
                "; `kimi-pipeline sql --schema` lists what there is"
                if isinstance(error, duckdb.CatalogException)
                else ""
            )
            raise UserError(f"sql: {_first_line(error)}{hint}") from None


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
