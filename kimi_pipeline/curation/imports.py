"""Samples made elsewhere: matched with our problems, verified by our verifier, stored as `imported`.

Belongs here: matching, verdicts, one commit. Does not belong here: file formats (`rollout_files.py`), counting them
(`difficulty.py`), asking for what is still missing (`inference/plans.py`).

What a file says of an answer is compared and counted, never taken over. A sample's identity is what was asked of whom and
what came back, so that a file that is imported again, whole or in parts, adds nothing.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline import tables
from kimi_pipeline.curation.corrections import corrected_answers
from kimi_pipeline.curation.rollout_files import BATCH_ROWS, Refused, Rollout, read_rollouts
from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.problems import MANY_ANSWERS, problem_id
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.contract import Reference, Response, Reward, Status
from kimi_pipeline.rewards.math_rules import MathReward

EXAMPLES = 5
CHARACTERS_A_TOKEN = 4  # where a file does not say how long an answer was
KNOWN = """
    select problem_id, any_value(answer) as answer, any_value(answer_kind) as answer_kind
    from problems semi join wanted using (problem_id) group by 1
"""


@dataclass(frozen=True)
class Conditions:
    """Under which conditions the answers were made, where a row does not say it itself."""

    checkpoint: str
    template: str
    temperature: float
    max_tokens: int


@dataclass
class Imported:
    """What became of a file's rows: `rows` = `imported` + `known` (imported before) + `quarantined`."""

    rows: int = 0
    imported: int = 0
    known: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    problems: set[str] = field(default_factory=set)
    compared: int = 0
    disagreements: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "imported": self.imported,
            "known": self.known,
            "quarantined": dict(self.quarantined.most_common()),
            "problems": len(self.problems),
            "statuses": dict(self.statuses.most_common()),
            "compared": self.compared,
            "disagreements": dict(self.disagreements),
            "examples": self.examples,
        }


def import_samples(
    lake: Lake, staging: Path, path: Path, format: str, conditions: Conditions, *, run_id: str
) -> dict[str, Any]:
    """Import a file; returns `Imported.told()`.

    The file is read once, in batches, into files beside the lake; what can't be taken goes to `quarantine` under the source
    `samples/FILE`, and then all new samples are committed at once. Raises UserError where it can't be read to its end:
    nothing is stored then.
    """
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging) as scratch:
        work = _Import(lake, conditions, Path(scratch), f"samples/{path.name}")
        rows = read_rollouts(path, format)
        while batch := list(islice(rows, BATCH_ROWS)):
            work.take(batch)
        work.commit(run_id)
    return work.found.told()


class _Import:
    """One file on its way into the lake."""

    def __init__(self, lake: Lake, conditions: Conditions, scratch: Path, source: str) -> None:
        self.found = Imported()
        self._lake = lake
        self._conditions = conditions
        self._source = source
        self._paths = {"samples": scratch / "samples.parquet", "quarantine": scratch / "quarantine.parquet"}
        self._schemas = {
            "samples": _without_stamp(tables.SAMPLES.schema),
            "quarantine": _without_stamp(tables.QUARANTINE.schema),
        }
        self._writers = {name: pq.ParquetWriter(path, self._schemas[name]) for name, path in self._paths.items()}
        self._reward: Reward = MathReward()
        self._corrected = corrected_answers(lake)
        self._times: Counter[bytes] = Counter()  # how often an answer of a problem came in this file
        known = lake.rows("select sample_id, problem_id, checkpoint from samples where purpose = 'imported'")
        self._known = {row["sample_id"] for row in known}
        self._next = Counter(row["problem_id"] for row in known if row["checkpoint"] == conditions.checkpoint)

    def take(self, batch: list[Rollout | Refused]) -> None:
        self.found.rows += len(batch)
        rollouts = [one for one in batch if isinstance(one, Rollout)]
        asked = {id(one): _candidates(one) for one in rollouts}
        wanted = pa.table(
            {"problem_id": pa.array(sorted({key for keys in asked.values() for key in keys}), pa.string())}
        )
        known = {row["problem_id"]: row for row in self._lake.rows(KNOWN, wanted=wanted)}
        rows, refused = [], [one for one in batch if isinstance(one, Refused)]
        for one in rollouts:
            problem = next((known[key] for key in asked[id(one)] if key in known), None)
            if problem is None:
                detail = f"problem {one.problem_id}" if one.problem_id else "no problem has this prompt"
                refused.append(Refused(one.row, Reason.UNKNOWN_PROBLEM, detail, one.text.encode()))
            elif problem["answer_kind"] in ("none", *MANY_ANSWERS):
                detail = f"problem {problem['problem_id']}: answer kind {problem['answer_kind']}"
                refused.append(Refused(one.row, Reason.UNVERIFIABLE_ANSWER, detail, one.text.encode()))
            elif row := self._row(one, problem):
                rows.append(row)
        self._write("samples", rows)
        self.found.quarantined.update(str(one.reason) for one in refused)
        self._write("quarantine", [_refused_row(self._source, one) for one in refused])

    def _row(self, one: Rollout, problem: dict[str, Any]) -> dict[str, Any] | None:
        """The row of a sample; None where it is stored already."""
        key, conditions = problem["problem_id"], self._conditions
        temperature = conditions.temperature if one.temperature is None else one.temperature
        max_tokens = conditions.max_tokens if one.max_tokens is None else one.max_tokens
        asked = [key, "imported", conditions.checkpoint, conditions.template, temperature, max_tokens]
        same = bytes.fromhex(digest([*asked, one.text]))
        self._times[same] += 1
        sample_id = digest([*asked, one.text, self._times[same]])
        if sample_id in self._known:
            self.found.known += 1
            return None
        reference = Reference(key, self._corrected.get(key, problem["answer"]), problem["answer_kind"])
        tokens = len(one.text) // CHARACTERS_A_TOKEN if one.tokens is None else one.tokens
        verdict = self._reward.score(reference, [Response(one.text, tokens, one.finished)])[0]
        self._compare(one, key, verdict.status, verdict.extracted_answer)
        index = self._next[key]
        self._next[key] += 1
        self.found.imported += 1
        self.found.problems.add(key)
        self.found.statuses[str(verdict.status)] += 1
        return {
            "sample_id": sample_id,
            "problem_id": key,
            "purpose": "imported",
            "checkpoint": conditions.checkpoint,
            "template": conditions.template,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "sample_index": index,
            "segment_index": 0,
            "completion_tokens": tokens,
            "text": one.text,
            "finish_reason": "stop" if one.finished else "length",
            "extracted_answer": verdict.extracted_answer,
            "status": verdict.status.value,
            "status_reason": verdict.reason,
            "reward": verdict.reward,
            "rule_version": verdict.rule_version,
            "carrier": "import",
            "cost": 0.0,
        }

    def _compare(self, one: Rollout, key: str, status: Status, answer: str | None) -> None:
        if one.right is None or status is Status.INFRASTRUCTURE_ERROR:
            return
        self.found.compared += 1
        if one.right is (status is Status.CORRECT):
            return
        self.found.disagreements["theirs right, ours not" if one.right else "ours right, theirs not"] += 1
        if len(self.found.examples) < EXAMPLES:
            self.found.examples.append({"row": one.row, "problem_id": key, "ours": str(status), "answer": answer})

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._writers[name].write_table(pa.Table.from_pylist(rows, schema=self._schemas[name]))

    def commit(self, run_id: str) -> None:
        for writer in self._writers.values():
            writer.close()
        query = "select * from read_parquet($path)"
        if self.found.quarantined or self._lake.exists(tables.QUARANTINE):
            self._lake.replace_query(
                tables.QUARANTINE,
                query,
                {"path": str(self._paths["quarantine"])},
                where=f"source = '{self._source.replace(chr(39), chr(39) * 2)}'",
                run_id=run_id,
                reason=f"import {self._source}",
            )
        self._lake.append_query(
            tables.SAMPLES, query, {"path": str(self._paths["samples"])}, run_id=run_id, reason=f"import {self._source}"
        )


def _candidates(one: Rollout) -> list[str]:
    """The ids that a rollout may belong to: the one that it names, else the hash of each reading of its prompt."""
    return [one.problem_id] if one.problem_id else [problem_id(text) for text in one.prompts]


def _refused_row(source: str, one: Refused) -> dict[str, Any]:
    return {
        "source": source,
        "source_row": one.row,
        "reason_code": str(one.reason),
        "detail": one.detail,
        "raw": one.raw,
        "planted": None,
    }


def _without_stamp(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in ("run_id", "created_at")])
