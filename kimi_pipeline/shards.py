"""Map-shards: one function over many shards of rows, each shard committed on its own.

Belongs here: the protocol and its multi-process implementation on one machine. Does not belong here: other machines (a
resource may choose another implementation), and what is computed.

Commits must be idempotent: a shard whose commit was cut off is mapped and committed again.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

import pyarrow as pa

MapFunction = Callable[[pa.Table], pa.Table]
Commit = Callable[[pa.Table], Any]
Shard = TypeVar("Shard")
Result = TypeVar("Result")


class ShardMap(Protocol):
    """Runs `function` over every shard (a picklable module-level function), and `commit` on each result as it comes."""

    def map(self, function: MapFunction, shards: Iterable[pa.Table], commit: Commit) -> int: ...

    def ordered(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> Iterator[tuple[Shard, Result]]:
        """Each shard with its result, in the shards' order, a few at a time."""
        ...


@dataclass(frozen=True)
class LocalShards:
    """Shards over the processes of this machine; a single shard is mapped in the caller's process.

    Shards are taken as workers become free, so that only a few are in memory at a time.
    """

    workers: int = 2

    def map(self, function: MapFunction, shards: Iterable[pa.Table], commit: Commit) -> int:
        """Returns how many rows were committed. An error in one shard ends the map; finished shards stay committed."""
        rows = 0
        for result in self._results(function, iter(shards)):
            commit(result)
            rows += result.num_rows
        return rows

    def ordered(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> Iterator[tuple[Shard, Result]]:
        """Each shard with its result, in order; for results that depend on what came before. The caller writes nothing
        that it could not take back: an error in one shard ends the map."""
        rest = iter(shards)
        first = list(islice(rest, 2))
        if len(first) < 2:
            yield from ((shard, function(shard)) for shard in first)
            return
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            waiting: deque[tuple[Shard, Future[Result]]] = deque()
            try:
                for shard in chain(first, rest):
                    waiting.append((shard, pool.submit(function, shard)))
                    if len(waiting) > self.workers + 1:
                        done, future = waiting.popleft()
                        yield done, future.result()
                while waiting:
                    done, future = waiting.popleft()
                    yield done, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _results(self, function: MapFunction, shards: Iterator[pa.Table]) -> Iterator[pa.Table]:
        first = list(islice(shards, 2))
        if len(first) < 2:
            yield from map(function, first)
            return
        # forkserver: workers start clean, without the caller's threads (Arrow's and Delta's) in an unknown state
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(self.workers, mp_context=context) as pool:
            waiting = {pool.submit(function, shard) for shard in first}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                # one more than there are workers, so that none waits while a result is committed
                waiting |= {pool.submit(function, shard) for shard in islice(shards, self.workers + 1 - len(waiting))}
                for future in done:
                    yield future.result()
