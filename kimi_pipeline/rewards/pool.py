"""Worker processes that may be killed: algebra on text that nobody vouches for [2.3.5].

Belongs here: tasks to workers, what becomes of a task whose worker died. Does not belong here: a process
(`worker_process.py`), what it computes (`worker.py`), rules, caches (`verifier.py`).

One thread of this process stands for one worker and waits on its pipe. The caller gets a `Future`: no signal is used or
needed here, so any thread and any event loop may call. Workers are fresh interpreters that know nothing of the caller
(no fork: torch or a lock of another thread may be held), started when there is work for them, and end with the caller.

What ends a task without a verdict:
- the answer used up its CPU seconds (kernel timer) or its memory, or crashed the worker twice: `unverifiable`
- the worker was killed, would not start, or stood still without using CPU: tried again with a new one, then a failure
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from kimi_pipeline.rewards.worker_process import DiedError, Limits, Worker

MEMORY, UNDECIDED = "memory", "undecided"
WORKER_FAILED, QUEUE_FULL = "worker_failed", "queue_full"
TRIES = 3  # of a worker that fails without fault of the answer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`same` as found, or the `reason` why nothing was; `failed`: ours, not the answer's. `by_reference`: the reference
    alone was too much."""

    same: bool | None
    reason: str | None = None
    failed: bool = False
    by_reference: bool = False


@dataclass(slots=True)
class _Task:
    reference: str
    answers: Sequence[str]
    kind: str
    future: Future[list[Outcome]] = field(default_factory=Future)


class Pool:
    """Workers, at most `limits.workers`. Close it, or leave that to the end of the process."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._queue: queue.Queue[_Task | None] = queue.Queue(self.limits.waiting)
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []
        self._idle = 0
        self._closed = False
        self._process = os.getpid()
        _pools.add(self)

    @property
    def usable(self) -> bool:
        """Not closed, and not the copy of another process's pool that a fork leaves."""
        return not self._closed and self._process == os.getpid()

    @property
    def pids(self) -> list[int]:
        """The workers that are alive."""
        return [slot.worker.process.pid for slot in self._slots if slot.worker is not None]

    def submit(self, reference: str, answers: Sequence[str], kind: str, wait: float = 30.0) -> Future[list[Outcome]]:
        """[k] outcomes of k answers against one reference, which is parsed once. Raises RuntimeError on a closed pool.

        A queue that stays full for `wait` seconds gives failures, no exception.
        """
        if not self.usable:
            raise RuntimeError("the verifier's pool is closed")
        task = _Task(reference, list(answers), kind)
        try:
            self._queue.put(task, timeout=wait)
        except queue.Full:
            task.future.set_result([Outcome(None, QUEUE_FULL, failed=True)] * len(answers))
            return task.future
        with self._lock:
            if self._queue.qsize() > self._idle and len(self._slots) < self.limits.workers:
                self._slots.append(_Slot(self))
        return task.future

    def warm_up(self) -> None:
        """Start a worker beside whatever else goes on, so that the first question for one does not wait for its imports."""
        self.submit("1", ["1"], "integer")

    def close(self) -> None:
        """End all workers; what still waits fails."""
        self._closed = True
        if self._process != os.getpid():
            return
        for _ in self._slots:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.thread.join(timeout=10)
        with contextlib.suppress(queue.Empty):
            while True:
                if (task := self._queue.get_nowait()) is not None and not task.future.done():
                    task.future.set_result([Outcome(None, WORKER_FAILED, failed=True)] * len(task.answers))

    def take(self) -> _Task | None:
        """The next task, for a slot's thread; None when the pool is closed."""
        with self._lock:
            self._idle += 1
        try:
            return None if self._closed else self._queue.get()
        finally:
            with self._lock:
                self._idle -= 1

    def forget(self) -> None:
        """In the child after a fork: let go of the workers' pipes, else they would outlive their owner."""
        self._closed = True
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.close_pipes()


class _Slot:
    """A place for one worker, with the thread that serves it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._closed = False
        self._reference_done = False
        self.worker: Worker | None = None
        self.thread = threading.Thread(target=self._run, name="verifier", daemon=True)
        self.thread.start()

    def kill(self) -> None:
        self._closed = True
        if (worker := self.worker) is not None:
            worker.kill()

    def _run(self) -> None:
        try:
            while (task := self._pool.take()) is not None:
                found: list[Outcome] = []
                try:
                    found = self._outcomes(task)
                except Exception:  # a fault here must not leave the caller waiting
                    _log.exception("the verifier's pool failed")
                    found = [Outcome(None, WORKER_FAILED, failed=True)] * len(task.answers)
                task.future.set_result(found)
        finally:
            self._drop()

    def _outcomes(self, task: _Task) -> list[Outcome]:
        found: list[Outcome] = []
        failures = crashes = 0
        while len(found) < len(task.answers):
            before = len(found)
            try:
                reason = self._ask(task, found)
                if reason is not None:
                    return [Outcome(None, reason, by_reference=True)] * len(task.answers)
            except DiedError as death:
                self._drop()
                failures, crashes = (0, 0) if len(found) > before else (failures, crashes)
                crashes += death.crashed
                reason = MEMORY if crashes == 2 else death.reason
                if reason is not None:
                    if not self._reference_done:
                        return [Outcome(None, reason, by_reference=True)] * len(task.answers)
                    found.append(Outcome(None, reason))
                    failures = crashes = 0
                    continue
                failures += 1
                if failures >= TRIES or self._closed:  # closed: the caller has no more use for a verdict
                    found.append(Outcome(None, WORKER_FAILED, failed=True))
                    failures = 0
        return found

    def _ask(self, task: _Task, found: list[Outcome]) -> str | None:
        """Ask for the answers that `found` lacks, and append to it; the reason where the reference is too much."""
        limits = self._pool.limits
        self._reference_done = False
        if self._closed:
            raise DiedError(None)
        if self.worker is None:
            self.worker = Worker(limits)
        worker = self.worker
        rest = task.answers[len(found) :]
        worker.send(
            {"reference": task.reference, "kind": task.kind, "answers": rest, "cpu_seconds": limits.cpu_seconds}
        )
        reason: str | None = worker.receive(limits.wall_seconds)["reference"]
        if reason is not None:
            self._drop()
            return reason
        self._reference_done = True
        worn = False
        for _ in rest:
            line = worker.receive(limits.wall_seconds)
            if line.get("error"):
                _log.warning("undecided by an error: %s", line["error"])
            reason = line["reason"] or (UNDECIDED if line["same"] is None else None)
            worn = worn or line["reason"] is not None
            found.append(Outcome(line["same"], reason))
        worker.done += len(rest)
        if worn or worker.done >= limits.tasks_a_worker:
            self._drop()
        return None

    def _drop(self) -> None:
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.kill()
            worker.close_pipes()


# -- the pool that everybody shares ---------------------------------------------------------------------------------

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class _Shared:
    """The process's own pool; a forked child starts without one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: Pool | None = None


_shared = _Shared()


def shared_pool() -> Pool:
    """The process's own pool, made on the first call; another one in a forked child."""
    with _shared.lock:
        if _shared.pool is None or not _shared.pool.usable:
            _shared.pool = Pool()
        return _shared.pool


def _forget_all() -> None:
    _shared.__init__()  # type: ignore[misc]  # the lock may be held by a thread that this child does not have
    for pool in list(_pools):
        pool.forget()


def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
