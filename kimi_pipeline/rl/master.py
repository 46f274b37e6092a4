"""The master: what rank 0 alone keeps of a run, the report's master [2.6.1] as far as it writes.

Belongs here: rows into the lake, iteration checkpoints made whole, MLflow, progress, the final checkpoint. Does not
belong here: the phases of an iteration (`loop.py`), what rows and figures mean (`records.py`, `figures.py`).

An iteration's checkpoint is made whole by a thread, while the next iteration's rollouts decode: most of it is waiting for
the disk. Checkpoints become whole one by one, in order, and rows go to the lake after theirs; a kill in between costs the
last iteration, which is drawn again from its seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.checkpoints import Checkpoint, save_checkpoint
from kimi_pipeline.home import Home
from kimi_pipeline.inference.store import Committer, SampleStore
from kimi_pipeline.jobs import Report
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.composite import reward_note
from kimi_pipeline.rl.prompt_sampling import SuccessRate
from kimi_pipeline.rl.recovery import Recovery, Saved
from kimi_pipeline.training.tracking import Tracker

KEPT_MOMENTS = "Adam's moments kept across iterations (rl.reset_optimizer = false)"
LAST = 5  # iterations that the checkpoint's metrics average over
RECORDED = (tables.SAMPLES, tables.ROLLOUTS, tables.SEGMENTS, tables.REWARD_WATCH, tables.REWARD_PARTS)

Curves = list[dict[str, float]]
Rows = dict[str, list[dict[str, Any]]]


class Master:
    """Writers of one run. `policy` is its name in the lake; the recipe is what was in force."""

    def __init__(
        self, home: Home, profile: Profile, spec: dict[str, Any], policy: str, recovery: Recovery, report: Report
    ) -> None:
        self._home, self._profile, self._spec, self._policy = home, profile, spec, policy
        self._recovery, self._report = recovery, report
        self._lake = Lake(home.lake)
        self._committers: dict[str, Committer] = {}
        self._tracker = Tracker(home, "rl", spec["run_id"], profile.settings())
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._written: Future[None] | None = None

    def open(self, stack: ExitStack, curves: Curves, saved: Sequence[Saved]) -> None:
        """Open writers and tracking for as long as `stack`; tell them what a saved run has done so far."""
        stack.enter_context(self._tracker)
        for point in curves:
            self._tracker.log(int(point["iteration"]), point)
        for table in RECORDED:
            self._committers[table.name] = stack.enter_context(
                Committer(
                    self._lake,
                    run_id=self._spec["run_id"],
                    reason=f"rollouts of policy {self._policy[:12]}",
                    seconds=self._profile.limits.commit_seconds,
                    samples=self._profile.limits.commit_samples,
                    table=table,
                )
            )
        stack.enter_context(self._writer)  # closed before the committers, which it hands rows to
        self._commit_again(saved)

    def _commit_again(self, saved: Sequence[Saved]) -> None:
        """Commit what checkpoints hold and the lake does not: the process was killed between the two."""
        sampled = SampleStore(self._lake).recorded("rollout", {self._policy})
        known: dict[str, set[tuple[Any, ...]]] = {tables.SAMPLES.name: {(name,) for name in sampled}}
        for table in (tables.ROLLOUTS, tables.SEGMENTS, tables.REWARD_WATCH, tables.REWARD_PARTS):
            where = [("checkpoint" if table is tables.REWARD_PARTS else "policy", "=", self._policy)]
            rows = self._lake.read(table, columns=list(table.key), where=where).to_pylist()
            known[table.name] = {tuple(row[name] for name in table.key) for row in rows}
        for one in saved:
            for table in RECORDED:
                for row in one.rows(table.name):
                    if tuple(row[name] for name in table.key) not in known[table.name]:
                        self._committers[table.name].add(row)
        self._flush()

    def _flush(self) -> None:
        for committer in self._committers.values():
            committer.flush()

    def checkpoint(self, iteration: int, state: dict[str, Any], buffer: pa.Table, rows: Rows) -> None:
        """Have an iteration's checkpoint made whole (its trainer is saved), then its rows handed to the lake's writers.

        Returns once the one before is whole; raises what its writing raised. The arguments must not change any more.
        """
        self.settle()
        self._written = self._writer.submit(self._write, iteration, state, buffer, rows)

    def settle(self) -> None:
        """Wait for the checkpoint that is being made whole; raises what its writing raised."""
        if self._written is not None:
            written, self._written = self._written, None
            written.result()

    def _write(self, iteration: int, state: dict[str, Any], buffer: pa.Table, rows: Rows) -> None:
        shown = {table.name: pa.Table.from_pylist(rows[table.name], _columns(table)) for table in RECORDED}
        self._recovery.publish(iteration, state, buffer, shown)
        for name, own in rows.items():
            for row in own:
                self._committers[name].add(row)
        kept = self._profile.rl.kept_iterations
        if iteration % kept == 0:
            self._flush()  # a checkpoint's rows must be in the lake before it goes
            self._recovery.prune(kept)

    def tell(self, iteration: int, figures: dict[str, float]) -> None:
        """An iteration's figures, to MLflow and the terminal."""
        self._tracker.log(iteration, figures)
        ended = "reward {reward:.3f}, {tokens_mean:.1f} tokens" if "reward" in figures else "no group complete"
        note = f"{ended}, kl {{kl:.4f}}, {{seconds:.1f}} s an iteration".format(**figures)
        self._report.progress(iteration, self._profile.rl.iterations, note)

    def finish(self, write: Callable[[Path], object], curves: Curves, rates: Iterable[SuccessRate]) -> dict[str, Any]:
        """Save the run's checkpoint and what its prompt sampling knows; returns the job's result."""
        self.settle()
        self._lake.upsert(
            tables.SUCCESS_RATES,
            [
                {
                    "policy": self._policy,
                    "problem_id": one.problem_id,
                    "rate": one.rate,
                    "correct": one.correct,
                    "n": one.total,
                }
                for one in rates
            ],
            run_id=self._spec["run_id"],
            reason=f"success rates of policy {self._policy[:12]}",
        )
        metrics = _metrics(curves)
        checkpoint: Checkpoint = save_checkpoint(
            self._home.checkpoints,
            "rl",
            write,
            parent=self._spec["checkpoint"]["digest"],
            recipe=self._profile.settings() | {"policy": self._policy},
            data_versions={"prompt_set": self._spec["prompt_set"]},
            metrics=metrics,
            note=_note(self._profile.rl),
        )
        self._tracker.register(checkpoint)
        return {
            "digest": checkpoint.digest,
            "checkpoint": checkpoint.manifest(),
            "policy": self._policy,
            "curves": curves,
            "metrics": metrics,
        }


def _metrics(curves: Curves) -> dict[str, float]:
    metrics = {"iterations": float(len(curves))}
    for name in ("reward", "tokens_mean"):
        values = [point[name] for point in curves if name in point]
        if values:
            first, last = values[:LAST], values[-LAST:]
            metrics |= {f"{name}_first": sum(first) / len(first), f"{name}_last": sum(last) / len(last)}
    for name in ("log_ratio_max", "gap_max"):
        metrics[name] = max(point[name] for point in curves)
    return metrics


def _note(settings: Rl) -> str:
    """What must stand beside every figure of the checkpoint."""
    return "; ".join(filter(None, ["" if settings.reset_optimizer else KEPT_MOMENTS, reward_note(settings)]))


def _columns(table: tables.Table) -> pa.Schema:
    return pa.schema([one for one in table.schema if one.name not in table.volatile])
