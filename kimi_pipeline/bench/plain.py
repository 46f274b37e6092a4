"""math-verify as its own documentation calls it, one pair after the other: what the verifier is held against.

Belongs here: its verdicts and its CPU seconds, in a process of its own (it uses SIGALRM). Does not belong here: which
pairs, any verdict of ours.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from kimi_pipeline.rewards.symbolic import FIRST_PAIRS

Pair = tuple[str, str]  # the reference as it stands in a corpus, and a text that holds an answer


@dataclass(frozen=True)
class Plain:
    """`verdicts`: None where one of the two texts was not read. Seconds without the import."""

    verdicts: list[bool | None]
    seconds: float
    cpu_seconds: float


def sequential(pairs: Sequence[Pair]) -> Plain:
    """math-verify's verdicts, sequentially in one fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_verdicts, list(pairs)).result()


def _verdicts(pairs: Sequence[Pair]) -> Plain:
    import logging

    logging.disable(logging.CRITICAL)
    for reference, answer in FIRST_PAIRS:  # as the verifier's workers are warmed
        _verdict((f"${reference}$", f"\\boxed{{{answer}}}"))
    started, cpu = time.perf_counter(), time.process_time()
    verdicts = [_verdict((f"${reference}$", text)) for reference, text in pairs]
    return Plain(verdicts, time.perf_counter() - started, time.process_time() - cpu)


def _verdict(pair: Pair) -> bool | None:
    from math_verify import parse, verify

    try:
        gold, answer = parse(pair[0]), parse(pair[1])
        # Of a text that it can't read math-verify keeps the characters alone.
        return bool(verify(gold, answer)) if len(gold) > 1 and len(answer) > 1 else None
    except Exception:
        return None
