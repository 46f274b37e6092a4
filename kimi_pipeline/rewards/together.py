"""A program on all cases of its suite in one run: for suites of tiny programs, where starting a run costs more than running.

Belongs here: the program around a program, and a worker of the sandbox that is kept for many of them. Does not belong here:
what outputs are worth (`code.py`), the sandbox's own isolation (`sandbox/`).

The worker's submission is the program around; each program to be judged is one input of it, so it runs in a process of its
own, killed and cleaned away before the next like every run. What is given up: cases of one program share a process, so it
may see the inputs of later cases. The expected outputs are never in the sandbox.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence

from sandbox import Limits, Outcome, Sandbox, Verdict

AROUND = """
import io, json, sys
asked = json.load(sys.stdin)
told, real = [], sys.stdout
try:
    code = compile(asked["program"], "program.py", "exec")
except (SyntaxError, ValueError) as error:
    told.append(["compile_error", str(error)[:200]])
else:
    for data in asked["inputs"]:
        sys.stdin, sys.stdout = io.StringIO(data), io.StringIO()
        try:
            exec(code, {"__name__": "__main__"})
            told.append(["ok", sys.stdout.getvalue()])
        except BaseException as error:
            told.append(["wrong_exit", type(error).__name__])
            break
        finally:
            sys.stdout = real
json.dump(told, real)
"""
LIMITS = Limits(cpu_seconds=1, wall_seconds=5, memory_mb=128, output_bytes=1024 * 1024)


class Together:
    """One worker; calls from several threads wait for each other. Closed with its sandbox."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._lock = threading.Lock()
        self._next: bytes = b""
        self._verdicts: Iterator[Verdict] | None = None

    def run(self, program: str, inputs: Sequence[str]) -> tuple[Verdict, list[tuple[str, str]]]:
        """The run's verdict and, where it ended well, (outcome, output) of each case up to the first that did not."""
        with self._lock:
            self._next = json.dumps({"program": program, "inputs": list(inputs)}).encode()
            if self._verdicts is None:
                self._verdicts = self._box.run(AROUND, "python", self._asked(), LIMITS)
            verdict = next(self._verdicts)
            if verdict.outcome is Outcome.SANDBOX_ERROR:
                self._verdicts = None  # the next program asks for a fresh worker
        return verdict, _told(verdict)

    def _asked(self) -> Iterator[bytes]:
        while True:
            yield self._next


def _told(verdict: Verdict) -> list[tuple[str, str]]:
    """What the program around says; a program that wrote past it has said nothing that counts."""
    if verdict.outcome is not Outcome.OK:
        return []
    try:
        found = json.loads(verdict.stdout)
        return [(str(outcome), str(text)) for outcome, text in found]
    except (ValueError, TypeError):
        return []
