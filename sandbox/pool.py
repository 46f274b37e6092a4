"""The warm pool: greeted workers that wait for a submission.

Belongs here: keeping some ready, making more in the background, burying used ones. Does not belong here: what a worker
does. A worker serves one submission and is thrown away; nothing goes back into the pool.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque

from sandbox.errors import BackendUnavailable, SandboxError, WorkerGone
from sandbox.workers import Backend, Channel, greet

_GREETING_SECONDS = 60.0
_GRACE_SECONDS = 0.015
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between failing starts
_RATE_WINDOW = 20  # starts that the refill rate is taken over


class WarmPool:
    """At most `size` workers ready, made by `starters` threads.

    `patience` seconds is how long `take` waits while no worker can be made (an engine that is being restarted) before
    it raises BackendUnavailable.
    """

    def __init__(
        self, backend: Backend, preload: tuple[str, ...], *, size: int = 2, starters: int = 1, patience: float = 60.0
    ) -> None:
        self._backend, self._preload = backend, preload
        self._size, self._patience = size, patience
        self._ready: deque[Channel] = deque()
        self._coming = 0
        self._wanted = 0  # takers that wait
        self._changed = threading.Condition()
        self._closed = False
        self._trouble: SandboxError | None = None
        self._starts: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._used: queue.SimpleQueue[Channel | None] = queue.SimpleQueue()
        self._starters = [threading.Thread(target=self._keep_full, daemon=True) for _ in range(starters)]
        self._undertaker = threading.Thread(target=self._bury, daemon=True)
        for thread in (*self._starters, self._undertaker):
            thread.start()

    def take(self) -> Channel:
        """A worker nobody has used. Raises BackendUnavailable when none could be made in `patience` seconds."""
        until = time.monotonic() + self._patience
        while True:
            with self._changed:
                self._wanted += 1
                try:
                    while not self._ready:
                        if self._closed:
                            raise BackendUnavailable("the sandbox is closed")
                        left = until - time.monotonic()
                        if left <= 0 and self._trouble is not None:
                            raise BackendUnavailable(
                                f"no worker in {self._patience:.0f} s: {self._trouble}"
                            ) from self._trouble
                        self._changed.wait(max(left, 0.1))
                    channel = self._ready.popleft()
                finally:
                    self._wanted -= 1
                self._changed.notify_all()
            try:
                channel.worker.receive(0)  # one that died while it waited says so here
            except WorkerGone:
                self.discard(channel)
                continue
            return channel

    def discard(self, channel: Channel) -> None:
        """Has a worker removed in the background."""
        self._used.put(channel)

    def wait_full(self, timeout: float) -> None:
        """Returns when the pool is full. Raises BackendUnavailable with the reason when it isn't in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._ready) >= self._size, timeout):
                raise BackendUnavailable(f"no full pool in {timeout:.0f} s: {self._trouble or 'starts are slow'}")

    @property
    def refill_rate(self) -> float:
        """Workers a second that the pool makes, from its latest starts; 0 before the first."""
        with self._changed:
            return len(self._starters) * len(self._starts) / sum(self._starts) if self._starts else 0.0

    def close(self) -> None:
        """Ends the threads and every worker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._starters:
            thread.join()
        while self._ready:
            self.discard(self._ready.popleft())
        self._used.put(None)
        self._undertaker.join()

    def _keep_full(self) -> None:
        failures = 0
        while True:
            with self._changed:
                while not self._closed and len(self._ready) + self._coming >= self._size + self._wanted:
                    self._changed.wait()
                # the worker just taken runs its first input now: making the next one would slow it down
                self._changed.wait_for(lambda: self._closed or self._wanted, _GRACE_SECONDS)
                if self._closed:
                    return
                if len(self._ready) + self._coming >= self._size + self._wanted:
                    continue
                self._coming += 1
            began, channel, trouble = time.monotonic(), None, None
            try:
                worker = self._backend.start()
                try:
                    channel = greet(worker, self._backend.size, self._preload, _GREETING_SECONDS)
                except BaseException:
                    worker.kill()
                    raise
            except SandboxError as error:
                trouble = error
            except Exception as error:  # whatever it was, who waits must hear of it, and the next start may go well
                trouble = SandboxError(f"{type(error).__name__}: {error}")
            with self._changed:
                self._coming -= 1
                self._trouble = trouble
                if channel is not None:
                    failures = 0
                    self._starts.append(time.monotonic() - began)
                    self._ready.append(channel)
                    self._changed.notify_all()
                else:
                    pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                    failures += 1
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed, pause)

    def _bury(self) -> None:
        while (channel := self._used.get()) is not None:
            with contextlib.suppress(Exception):  # it stays with its backend, whose close tries again and says so
                channel.worker.kill()
