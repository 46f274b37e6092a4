"""The verifier: a reference and answers in, one verdict an answer out, never an exception [2.3.1, 2.3.5].

Belongs here: the order refusal, rules, cache, algebra in a worker; whether a reference can be checked at all. Does not
belong here: finding the answer in a response (`extraction.py`), what a verdict is worth (`math_rules.py`).

Most answers are decided by the rules in this process, in microseconds (the fast path); only formulas go to a worker
(the slow path), once for each pair: verdicts are cached by reference, answer, kind and rule version. What failed on our
side is not cached. `counts` tells how many came which way.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.numbers import clean
from kimi_pipeline.rewards.pool import UNDECIDED, WORKER_FAILED, Outcome, Pool, shared_pool
from kimi_pipeline.rewards.rules import FREE_FORM, hard, readable, refusal, same_answer
from kimi_pipeline.rewards.structures import LONGEST, structure

VERSION = "math-rules@2"
CACHED = 100_000  # verdicts; a few hundred bytes each
PATIENCE = 600.0  # seconds for a whole group; beyond the pool's own limits, so that nobody waits for ever


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason`: why there is no verdict, or why an answer is refused. `fast`: no worker was asked."""

    status: Status
    reason: str | None = None
    fast: bool = True


Key = tuple[str, str, str, str]
OTHER = "\\sqrt{7919}+\\pi"  # no reference is this, and to tell so takes the parser


@dataclass(slots=True)
class _Begun:
    """A group under way: what is known at once, and what a worker was asked (`future` for the distinct `waiting`)."""

    reference: str
    answers: Sequence[str | None]
    kind: str
    verdicts: list[Verdict | None]
    waiting: list[str]
    future: Future[list[Outcome]] | None = None


class Verifier:
    """Thread-safe. `pool` gives the workers when they are needed, by default the process's own."""

    def __init__(self, pool: Callable[[], Pool] = shared_pool, cached: int = CACHED) -> None:
        self._pool = pool
        self._cached = cached
        self._cache: OrderedDict[Key, Verdict] = OrderedDict()
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def verify(self, reference: str, answers: Sequence[str | None], kind: str = "") -> list[Verdict]:
        """[k] verdicts. An answer that is None or blank is `no_answer`. Blocks; safe in any thread."""
        return self._finish(self._begin(reference, answers, kind))

    def verify_groups(self, groups: Sequence[tuple[str, Sequence[str | None], str]]) -> list[list[Verdict]]:
        """`verify` of many (reference, answers, kind), all workers busy."""
        return [self._finish(begun) for begun in [self._begin(*group) for group in groups]]

    async def verify_async(self, reference: str, answers: Sequence[str | None], kind: str = "") -> list[Verdict]:
        """`verify` for an event loop, which goes on while workers work."""
        begun = await asyncio.to_thread(self._begin, reference, answers, kind)
        return await asyncio.to_thread(self._finish, begun) if begun.future is not None else self._finish(begun)

    def checkable(self, reference: str | None, kind: str = "") -> str | None:
        """None where answers can be held against a reference, else why not: `empty`, `undecided` (a formula that is not
        read), `deadline`, `memory`. A failure on our side says `worker_failed` or `queue_full`: ask again.

        A property of the problem: curation removes those with a reason. Text without a formula is compared as text.
        """
        if not isinstance(reference, str) or not reference.strip():
            return "empty"
        if len(reference) > LONGEST:
            return UNDECIDED
        parts = [reference]
        while parts:
            part = parts.pop()
            if (values := structure(part)) is not None:
                parts.extend(values.parts)
            elif hard(clean(part)) and (reason := self._unreadable(part, kind)) is not None:
                return reason
        return None

    def _unreadable(self, formula: str, kind: str) -> str | None:
        """Why a worker can't hold a formula against another, nor against itself written otherwise."""
        if same_answer(formula, OTHER, kind) is not None:
            return None  # the rules alone tell the two apart
        (outcome,) = self._outcomes(self._ask(formula, [OTHER], kind), 1)
        if outcome.same is not None:
            return None
        (own,) = self._outcomes(self._ask(formula, [f" {{{formula}}}+0"], kind), 1)
        return None if own.same else own.reason

    def _begin(self, reference: str, answers: Sequence[str | None], kind: str) -> _Begun:
        verdicts = [self._at_once(reference, answer, kind) for answer in answers]
        open_answers = [answer for answer, found in zip(answers, verdicts, strict=True) if found is None]
        waiting = [answer for answer in dict.fromkeys(open_answers) if answer is not None]
        future = self._ask(reference, waiting, kind) if waiting else None
        return _Begun(reference, answers, kind, verdicts, waiting, future)

    def _at_once(self, reference: str, answer: str | None, kind: str) -> Verdict | None:
        """The verdict by rules or from the cache; None where algebra is needed."""
        if not isinstance(answer, str) or not answer.strip():
            return Verdict(Status.NO_ANSWER)
        try:
            return self._by_rules(reference, answer, kind)
        except Exception:  # a rule that stumbles over a text must not end a training run: nothing is decided
            _log.exception("the rules failed on an answer of %d characters", len(answer))
            return Verdict(Status.UNVERIFIABLE, UNDECIDED)

    def _by_rules(self, reference: str, answer: str, kind: str) -> Verdict | None:
        if (reason := refusal(reference, answer)) is not None:
            return Verdict(Status.WRONG, reason)
        same = same_answer(reference, answer, kind)
        if kind == FREE_FORM and not same and not (readable(reference) and readable(answer)):
            return Verdict(Status.UNVERIFIABLE, UNDECIDED)  # two texts may say the same in other words
        if same is not None:
            return Verdict(Status.CORRECT if same else Status.WRONG)
        if max(len(reference), len(answer)) > LONGEST:
            return Verdict(Status.UNVERIFIABLE, UNDECIDED)
        key = (reference, answer, kind, VERSION)
        with self._lock:
            if (known := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
        return known

    def _ask(self, reference: str, answers: Sequence[str], kind: str) -> Future[list[Outcome]]:
        try:
            return self._pool().submit(reference, answers, kind)
        except RuntimeError:  # closed, or no thread to be had
            failed: Future[list[Outcome]] = Future()
            failed.set_result([Outcome(None, WORKER_FAILED, failed=True)] * len(answers))
            return failed

    def _outcomes(self, future: Future[list[Outcome]], number: int) -> list[Outcome]:
        try:
            return future.result(timeout=PATIENCE)
        except TimeoutError:
            return [Outcome(None, WORKER_FAILED, failed=True)] * number

    def _finish(self, begun: _Begun) -> list[Verdict]:
        found: dict[str, Verdict] = {}
        if begun.future is not None:
            outcomes = self._outcomes(begun.future, len(begun.waiting))
            found = {answer: _verdict(outcome) for answer, outcome in zip(begun.waiting, outcomes, strict=True)}
        verdicts = [
            verdict if verdict is not None else found[answer or ""]
            for answer, verdict in zip(begun.answers, begun.verdicts, strict=True)
        ]
        with self._lock:
            for answer, verdict in found.items():
                if verdict.status is not Status.INFRASTRUCTURE_ERROR:
                    self._cache[begun.reference, answer, begun.kind, VERSION] = verdict
            while len(self._cache) > self._cached:
                self._cache.popitem(last=False)
            for verdict in verdicts:
                self.counts["fast" if verdict.fast else "slow"] += 1
                self.counts[f"{verdict.status}:{verdict.reason}" if verdict.reason else str(verdict.status)] += 1
        return verdicts


def _verdict(outcome: Outcome) -> Verdict:
    """A reference that is too much is not the response's fault: it is excluded, never 0."""
    if outcome.by_reference:
        return Verdict(Status.INFRASTRUCTURE_ERROR, f"reference_{outcome.reason}", False)
    if outcome.failed:
        return Verdict(Status.INFRASTRUCTURE_ERROR, outcome.reason, False)
    if outcome.same is None:
        return Verdict(Status.UNVERIFIABLE, outcome.reason, False)
    return Verdict(Status.CORRECT if outcome.same else Status.WRONG, None, False)


@functools.lru_cache(maxsize=1)
def shared_verifier() -> Verifier:
    """The process's own verifier, with its cache and workers; a forked child makes another one."""
    return Verifier()


os.register_at_fork(after_in_child=shared_verifier.cache_clear)
