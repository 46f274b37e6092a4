"""The runner: submissions in, verdicts out.

Belongs here: checking what is asked for, the order of verdicts, retries on a fresh worker, many submissions at once.
Does not belong here: making workers (`backends/`), keeping them warm (`pool.py`), judging a run (`agent.py`).
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox import frames, languages
from sandbox.errors import BackendUnavailable, SandboxInputError, WorkerGone
from sandbox.frames import Kind
from sandbox.languages import Language
from sandbox.pool import WarmPool
from sandbox.verdicts import MAX_INPUT_BYTES, MAX_SOURCE_BYTES, Limits, Outcome, Verdict
from sandbox.watch import STARVED
from sandbox.workers import Backend, Channel

_SLACK_SECONDS = 60.0
_ATTEMPTS = 3
_AHEAD_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """A submission in a queue. `stop_after` sees each verdict; True means that the other inputs are not run."""

    program: str | bytes
    language: str
    inputs: Iterable[bytes]
    limits: Limits = field(default_factory=Limits)
    stop_after: Callable[[Verdict], bool] | None = None


class Sandbox:
    """Runs untrusted programs on workers of one backend; a context manager.

    `pool_size` workers are kept warm; `starters` threads make them. `table` is the languages that may be asked for
    (default: the built-in ones). `patience` seconds is how long a submission waits for an engine that is gone. Raises
    SandboxInputError where a limit is not within the backend's `size`.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        pool_size: int = 2,
        starters: int = 1,
        table: Mapping[str, Language] | None = None,
        patience: float = 60.0,
    ) -> None:
        if pool_size < 1 or starters < 1:
            raise SandboxInputError(f"pool_size is {pool_size} and starters {starters}: give at least 1 of each")
        self.backend = backend
        self.table = dict(table) if table is not None else languages.built_in()
        preload = sorted({module for language in self.table.values() for module in language.preload})
        self.pool = WarmPool(backend, tuple(preload), size=pool_size, starters=starters, patience=patience)
        self._pool_size = pool_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the pool and everything the backend made."""
        self.pool.close()
        self.backend.close()

    def run(
        self, program: str | bytes, language: str, inputs: Iterable[bytes], limits: Limits | None = None
    ) -> Iterator[Verdict]:
        """One verdict an input, in order, as they come.

        An input is taken and run when its verdict is asked for; closing the iterator leaves the rest undone. A worker
        that dies is replaced, and the run goes on at the first input without a verdict; an input that three workers
        died on gets SANDBOX_ERROR. Raises SandboxInputError at once when the program, language or limits can't be run,
        and at the input that is too large.
        """
        source, row = checked_program(program, language, self.table)
        limits = (limits or Limits()).scaled(row.time_factor, row.memory_factor, row.memory_extra_mb)
        limits.check_within(self.backend.size, self.backend.host_memory_mb)
        return self._verdicts(_Submission(self, source, row, limits), inputs)

    def _verdicts(self, submission: _Submission, inputs: Iterable[bytes]) -> Iterator[Verdict]:
        with contextlib.closing(submission):
            for index, data in enumerate(inputs):
                if len(data) > MAX_INPUT_BYTES:
                    raise SandboxInputError(f"input {index} has {len(data)} bytes: at most {MAX_INPUT_BYTES}")
                yield submission.verdict(index, data)

    def run_many(self, jobs: Iterable[Job], *, parallel: int | None = None) -> Iterator[tuple[int, Verdict]]:
        """(position of the job, verdict) for each input of each job, `parallel` jobs at once (default: the pool's size).

        Verdicts of one job come in order, those of several interleave. Jobs and inputs are taken as there is room, so
        any number may wait. An error of a job's input (SandboxInputError) ends all of it.
        """
        crew = _Crew(self, jobs, parallel or self._pool_size)
        try:
            yield from crew.results()
        finally:
            crew.stop()


class _Submission:
    """One submission on its current worker, and on the next when that dies."""

    def __init__(self, sandbox: Sandbox, source: bytes, language: Language, limits: Limits) -> None:
        self._sandbox, self._image, self._language = sandbox, sandbox.backend.image, language
        self._body = frames.pack({"language": language.as_dict(), "limits": limits.as_dict()}, source)
        self._compile_timeout = STARVED * 2 * limits.compile_seconds + _SLACK_SECONDS
        self._run_timeout = STARVED * (limits.cpu_seconds + limits.wall_seconds) + _SLACK_SECONDS
        self._channel: Channel | None = None
        self._final: dict[str, Any] | None = None  # what all further inputs get

    def verdict(self, index: int, data: bytes) -> Verdict:
        """The verdict on one input; of all inputs the same when the program doesn't compile or no worker can be had."""
        trouble = ""
        for _ in range(_ATTEMPTS):
            if self._final is not None:
                return Verdict(input_index=index, image=self._image, **self._final)
            try:
                channel = self._given(frames.pack({"index": index}, data))
                if self._final is not None:
                    continue
                header, (stdout, stderr) = channel.expect(Kind.VERDICT, self._run_timeout)
                if header.pop("index") != index:
                    raise WorkerGone(f"worker {channel.worker.identity} answered out of turn")
                verdict = _verdict(header, input_index=index, stdout=stdout, stderr=stderr, image=self._image)
                if verdict.outcome is Outcome.COMPILE_ERROR:
                    self._give_up(verdict)
                return verdict
            except WorkerGone as error:
                trouble = str(error)
                self.close()
            except BackendUnavailable as error:
                self._final = {"outcome": Outcome.SANDBOX_ERROR, "detail": str(error)}
        if self._final is not None:
            return Verdict(input_index=index, image=self._image, **self._final)
        return Verdict(input_index=index, outcome=Outcome.SANDBOX_ERROR, image=self._image, detail=trouble)

    def close(self) -> None:
        """Gives the worker up."""
        if self._channel is not None:
            self._sandbox.pool.discard(self._channel)
            self._channel = None

    def _given(self, body: bytes) -> Channel:
        """The worker with that input; a fresh one gets the program first. Raises WorkerGone.

        Sets `_final` when the program doesn't compile.
        """
        if self._channel is not None:
            self._channel.send(Kind.INPUT, body)
            return self._channel
        self._sandbox.backend.prepare(self._language)
        self._channel = channel = self._sandbox.pool.take()
        channel.send(Kind.SUBMIT, self._body)
        ahead = len(body) <= _AHEAD_BYTES  # fits the pipe, so sending doesn't wait for the compiler
        if ahead:
            channel.send(Kind.INPUT, body)
        header, (stdout, stderr) = channel.expect(Kind.COMPILED, self._compile_timeout)
        if header["outcome"] != "ok":
            self._give_up(_verdict(header, input_index=0, stdout=stdout, stderr=stderr, image=self._image))
        elif not ahead:
            channel.send(Kind.INPUT, body)
        return channel

    def _give_up(self, failed: Verdict) -> None:
        """All further inputs get what this one got."""
        names = ("outcome", "stdout", "stderr", "exit_code", "cpu_seconds", "wall_seconds", "peak_memory_mb")
        self._final = {name: getattr(failed, name) for name in (*names, "truncated", "detail")}
        self.close()


class _Crew:
    """Threads that take jobs from one iterator and put verdicts into one bounded queue."""

    def __init__(self, sandbox: Sandbox, jobs: Iterable[Job], parallel: int) -> None:
        self._sandbox, self._jobs = sandbox, enumerate(jobs)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._queue: queue.Queue[tuple[int, Verdict] | BaseException | None] = queue.Queue(maxsize=2 * parallel)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(parallel)]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[int, Verdict]]:
        running = len(self._threads)
        while running:
            item = self._queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item

    def stop(self) -> None:
        """Ends the threads; what they were running is thrown away."""
        self._stopped.set()
        for thread in self._threads:
            while thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    self._queue.get_nowait()
                thread.join(0.01)

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    position, job = next(self._jobs, (None, None))
                if position is None or job is None:
                    break
                self._run(position, job)
        except BaseException as error:  # handed to the caller's thread
            self._queue.put(error)
        else:
            self._queue.put(None)

    def _run(self, position: int, job: Job) -> None:
        verdicts = self._sandbox.run(job.program, job.language, job.inputs, job.limits)
        with contextlib.closing(verdicts):  # type: ignore[type-var]
            for verdict in verdicts:
                self._queue.put((position, verdict))
                if self._stopped.is_set() or (job.stop_after is not None and job.stop_after(verdict)):
                    return


def checked_program(
    program: str | bytes, language: str, table: Mapping[str, Language] | None = None
) -> tuple[bytes, Language]:
    """A program's source and its language, as they are run. Raises SandboxInputError where no sandbox of that table would
    run it."""
    row = languages.find(language, table)
    source = program.encode() if isinstance(program, str) else program
    if not source.strip():
        raise SandboxInputError("the program is empty: give its source")
    if len(source) > MAX_SOURCE_BYTES:
        raise SandboxInputError(f"the program has {len(source)} bytes: at most {MAX_SOURCE_BYTES}")
    if b"\0" in source:
        raise SandboxInputError("the program is binary (it has a zero byte): give its source as text")
    return source, row


def _verdict(header: dict[str, Any], **rest: Any) -> Verdict:
    return Verdict(outcome=Outcome(header.pop("outcome")), **header, **rest)
