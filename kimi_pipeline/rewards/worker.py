"""A verifier's worker: `python -m kimi_pipeline.rewards.worker`, one JSON line in, one a verdict out.

Belongs here: limits on this process, the loop. Does not belong here: any rule, starting and killing workers (`pool.py`).

In: `{"reference", "kind", "answers": [..], "cpu_seconds"}`. Out: first `{"reference": null}` or `{"reference": REASON}`,
then `{"same": true | false | null, "reason": null | "memory"}` for each answer in turn, as soon as it is found: when the
process dies, the first answer without a line is the one that killed it.

The kernel keeps the deadline: an interval timer of this process's own CPU time, whose signal kills it in the middle of
whatever it does, also inside one huge multiplication. Memory is bounded by RLIMIT_AS. It dies with the thread that
started it (prctl), which lives as long as the pool.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def main(memory_mb: int) -> None:
    """Serve until the input ends."""
    _limit(memory_mb)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)  # whatever a library prints is no verdict
    from kimi_pipeline.rewards import symbolic

    symbolic.warm()
    os.dup2(silent, 2)  # up to here it says why a worker does not start
    _tell(answers, {"ready": os.getpid()})
    for line in sys.stdin:
        task = json.loads(line)
        _serve(task, answers)


def _limit(memory_mb: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends us
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    sys.set_int_max_str_digits(10_000)


def _serve(task: dict[str, Any], answers: Any) -> None:
    from kimi_pipeline.rewards import symbolic
    from kimi_pipeline.rewards.rules import same_answer

    seconds, reference, kind = task["cpu_seconds"], task["reference"], task["kind"]
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        symbolic.require_bounded(reference)
        reason = None
    except (MemoryError, RecursionError):
        reason = "memory"
    signal.setitimer(signal.ITIMER_PROF, 0)
    _tell(answers, {"reference": reason})
    for answer in task["answers"]:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        verdict: dict[str, Any] = {"same": None, "reason": None}
        try:
            verdict["same"] = same_answer(reference, answer, kind, symbolic.same)
        except (MemoryError, RecursionError):
            verdict["reason"] = "memory"
        except Exception as error:  # a text that a rule stumbles over is undecided, whatever it raised
            verdict["error"] = f"{type(error).__name__}: {error}"[:200]
        signal.setitimer(signal.ITIMER_PROF, 0)
        _tell(answers, verdict)


def _tell(answers: Any, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
