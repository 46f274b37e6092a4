"""A program on all cases of its suite in one run: for suites of tiny programs, where starting a run costs more than running.

Belongs here: the program around a program, and a worker of the sandbox that is kept for many of them. Does not belong here:
what outputs are worth (`code.py`), the sandbox's own isolation (`sandbox/`).

The worker's submission is the program around; each program to be judged is one input of it, so it runs in a process of its
own, killed and cleaned away before the next like every run. What is given up: cases of one program share a process, so it
may see the inputs of later cases, what it leaves in modules stays for them, and `os._exit` ends them all. The expected
outputs are never in the sandbox.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence

from sandbox import Limits, Outcome, Sandbox, Verdict

AROUND = """
import io, json, os, sys
asked = json.load(sys.stdin)
told, real = [], os.fdopen(os.dup(1), "w")

def opened(data):
    # The descriptors themselves, as a program that is alone has them: it may read and write past sys.
    for number in (0, 1):
        os.dup2(real.fileno(), number)  # the case before may have closed it: a new file must not get its number
    files = [os.fdopen(os.memfd_create(name), "w+b") for name in ("stdin", "stdout")]
    files[0].write(data.encode())
    files[0].seek(0)
    for number, (file, mode) in enumerate(zip(files, ("rb", "wb"))):
        os.dup2(file.fileno(), number)
        files[number] = file, io.TextIOWrapper(open(number, mode, closefd=False), "utf-8", "surrogateescape")
    return files

try:
    code = compile(asked["program"], "program.py", "exec")
except (SyntaxError, ValueError) as error:
    told.append(["compile_error", str(error)[:200]])
else:
    for data in asked["inputs"]:
        (_, sys.stdin), (written, sys.stdout) = opened(data)
        own, space = sys.stdout, {"__name__": "__main__"}
        try:
            try:
                exec(code, space)
            except SystemExit as error:
                if error.code not in (None, 0):
                    raise
            for stream in (sys.stdout, own):
                if not stream.closed:
                    stream.flush()
        except BaseException as error:
            told.append(["wrong_exit", type(error).__name__])
            break
        written.seek(0)
        told.append(["ok", written.read().decode("utf-8", "surrogateescape")])
        space.clear()  # a file that it left open on a descriptor would close the next case's
json.dump(told, real)
real.flush()
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
