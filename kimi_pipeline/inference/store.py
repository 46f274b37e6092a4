"""The sample store: which samples are committed, and how new ones get committed in time.

Belongs here: reading what is there by sample id, rows of the `samples` table, buffered commits. Does not belong here:
what to ask (`plans.py`), verdict rules (`rewards/`), tables in general (`lake.py`).

Only committed rows count. A sample is committed at most `seconds` after it arrived, or with the `samples`-th one in the
buffer, whichever comes first; what a killed process loses is less than that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.inference.request import Completion, Sampling, error_code
from kimi_pipeline.inference.short_answer import as_response
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Reward, Status

CUT = "cut"  # status_reason of an answer that max_tokens cut off
COMMIT_MARGIN = 0.8  # share of the promised seconds after which a commit begins: the rest is for the commit itself


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a plan needs to know of a committed sample; `tokens` are the completion's."""

    sample_id: str
    problem_id: str
    status: Status
    tokens: int


class SampleStore:
    """The `samples` table of a lake."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def recorded(self, purpose: str, checkpoints: Collection[str]) -> dict[str, Recorded]:
        """Committed samples of a purpose and some checkpoints, by sample id. Reads that partition's files alone."""
        rows = self.lake.read(
            tables.SAMPLES,
            columns=["sample_id", "problem_id", "status", "completion_tokens"],
            where=[("purpose", "=", purpose), ("checkpoint", "in", sorted(checkpoints))],
        )
        return {
            sample_id: Recorded(sample_id, problem_id, Status(status), tokens)
            for sample_id, problem_id, status, tokens in zip(
                *(rows.column(name).to_pylist() for name in rows.column_names), strict=True
            )
        }

    def imported(self, checkpoint: str, template: str, sampling: Sampling) -> dict[str, list[Status]]:
        """The verdicts of samples that were made elsewhere under the same conditions, a problem, in their order."""
        rows = self.lake.rows(
            """
            select problem_id, status from samples
            where purpose = 'imported' and checkpoint = ? and template = ? and temperature = ? and max_tokens = ?
            order by problem_id, sample_index
            """,
            [checkpoint, template, sampling.temperature, sampling.max_tokens],
        )
        found: dict[str, list[Status]] = {}
        for row in rows:
            found.setdefault(row["problem_id"], []).append(Status(row["status"]))
        return found


def judge(completion: Completion, reference: Reference, reward: Reward) -> Breakdown:
    """The verdict of one completion. An answer that never came has none: it is excluded, not wrong. One that was cut
    before its end says so in its reason."""
    if completion.finish_reason == "error":
        reason = error_code(completion.error or "unknown")
        return Breakdown(Status.INFRASTRUCTURE_ERROR, None, reason=reason, rule_version=reward.version)
    text = as_response(completion.text) if completion.request.sampling.short_answer else completion.text
    response = Response(text, completion.completion_tokens, completion.finish_reason == "stop")
    verdict = reward.score(reference, [response])[0]
    return replace(verdict, reason=verdict.reason or CUT) if completion.finish_reason == "length" else verdict


def sample_row(completion: Completion, verdict: Breakdown, carrier: str) -> dict[str, Any]:
    """The row of the `samples` table. `carrier` names who sampled; `cost` is in the price's own currency."""
    request = completion.request
    return {
        "sample_id": request.sample_id,
        "problem_id": request.problem_id,
        "purpose": request.purpose,
        "checkpoint": request.checkpoint,
        "template": request.template,
        "temperature": request.sampling.temperature,
        "max_tokens": request.sampling.max_tokens,
        "sample_index": request.sample_index,
        "segment_index": request.segment_index,
        "iteration": request.iteration,
        "seed": request.seed,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "extracted_answer": verdict.extracted_answer,
        "status": verdict.status.value,
        "status_reason": verdict.reason,
        "reward": verdict.reward,
        "rule_version": verdict.rule_version,
        "carrier": carrier,
        "cost": completion.cost,
    }


def evidence_rows(sample: Mapping[str, Any], verdict: Breakdown) -> list[dict[str, Any]]:
    """The rows of the `reward_parts` table for a sample's row: none for a reward of one judge."""
    return [
        {
            "checkpoint": sample["checkpoint"],
            "problem_id": sample["problem_id"],
            "sample_id": sample["sample_id"],
            "part": one.part,
            "judge": one.judge,
            "status": one.status.value,
            "reason": one.reason,
            "value": one.value,
            "seconds": one.seconds,
            "tokens": one.tokens,
            "evidence": one.text,
        }
        for one in verdict.evidence
    ]


class Committer:
    """Buffers rows and commits them in time; a context manager that flushes at its end.

    One thread of its own writes, and nothing else does: a signal is raised in the main thread, where it could cut a
    commit off from the news that it succeeded, and the rows would be written twice. An error of a commit is raised by
    the next `add` or `flush`; its rows wait, and are tried once more at the end. Where the block ends by an exception
    the buffer is committed all the same: finished samples are kept.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        run_id: str,
        reason: str,
        seconds: float,
        samples: int,
        table: tables.Table = tables.SAMPLES,
    ) -> None:
        self._lake = lake
        self._table = table
        self._run_id = run_id
        self._reason = reason
        self._seconds = seconds * COMMIT_MARGIN
        self._samples = samples
        self._buffer: list[Mapping[str, Any]] = []
        self._seen: set[Any] = set()
        self._oldest = 0.0
        self._wanted = False  # somebody waits for what is buffered
        self._writing = False
        self._closed = False
        self._error: BaseException | None = None
        self._state = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="committer", daemon=True)
        self.committed = 0
        self.committed_tokens = 0

    def __enter__(self) -> Committer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._state:
            self._closed = True
            self._state.notify_all()
        try:
            self._thread.join()
        finally:
            self._thread.join()  # a signal that cut off the waiting does not cut off the commit
        if self._error is not None:
            raise self._error

    def add(self, row: Mapping[str, Any]) -> bool:
        """Take a row; False (and nothing is kept) where a row of the same key was taken before."""
        key = tuple(row[name] for name in self._table.key)
        with self._state:
            if self._error is not None:
                raise self._error
            if key in self._seen:
                return False
            self._seen.add(key)
            if not self._buffer:
                self._oldest = time.monotonic()
                self._state.notify_all()
            self._buffer.append(row)
            full = len(self._buffer) >= self._samples
        if full:
            self.flush()
        return True

    def flush(self) -> None:
        """Return when what is buffered now is committed."""
        with self._state:
            self._wanted = bool(self._buffer)
            self._state.notify_all()
            self._state.wait_for(lambda: self._error is not None or not (self._buffer or self._writing))
            if self._error is not None:
                raise self._error

    def _write(self) -> None:
        while True:
            with self._state:
                while not self._due():
                    self._state.wait(self._patience())
                rows, self._buffer, self._wanted = self._buffer, [], False
                closed, self._writing = self._closed, bool(rows)
            error = self._commit(rows) if rows else None
            with self._state:
                if rows:
                    self._error, self._writing = error, False
                if error is not None:
                    self._buffer = rows + self._buffer
                self._state.notify_all()
                if closed:
                    return

    def _due(self) -> bool:
        if self._closed or not self._buffer:
            return self._closed
        return self._error is None and (self._wanted or self._oldest + self._seconds <= time.monotonic())

    def _patience(self) -> float | None:
        return self._oldest + self._seconds - time.monotonic() if self._buffer and self._error is None else None

    def _commit(self, rows: list[Mapping[str, Any]]) -> BaseException | None:
        try:
            self._lake.append(self._table, [dict(row) for row in rows], run_id=self._run_id, reason=self._reason)
        except BaseException as error:  # handed to the thread that adds: it must not go on unsaved
            return error
        self.committed += len(rows)
        self.committed_tokens += sum(row.get("completion_tokens") or 0 for row in rows)
        return None
