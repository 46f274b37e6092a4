"""Checkers: programs that say whether an output is right, for problems whose statement allows several right outputs.

Belongs here: the program around a checker, what it is given, what is read from it, a worker that is kept for one. Does not
belong here: where checkers come from and what makes one fit to judge (`testcases/`), what outputs are worth (`code.py`).

A checker defines `check(given, output)`, both texts (the output as a judge reads it, `outputs.py`). It returns True where the
output is right, else False or a text that says why. It runs in the sandbox alone; one that ends in any other way (an error,
its limits, another value) has failed, and a checker that fails accepts nothing. What it prints goes nowhere.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from kimi_pipeline.digests import canonical_json
from kimi_pipeline.rewards.outputs import normalise
from sandbox import Limits, Outcome, Sandbox, Verdict

ACCEPTED, REFUSED, FAILED = "accepted", "refused", "checker_failed"
LIMITS = Limits(cpu_seconds=5, wall_seconds=5, memory_mb=512, output_bytes=1024 * 1024)
"""Of one check, whatever the problem's own limits: those are meant for the programs that it judges."""
LONGEST_WHY = 200  # characters

AROUND = """
import json, os, sys

def run_checker(source):
    asked = json.load(sys.stdin)
    told = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        names = {"__name__": "checker"}
        exec(compile(source, "checker.py", "exec"), names)
        if not callable(names.get("check")):
            raise NameError("no check(given, output) is defined")
        found = names["check"](asked["given"], asked["output"])
        if not isinstance(found, (bool, str)):
            raise TypeError(f"check returned {type(found).__name__}, not True, False or a text")
        said = ["accepted" if found is True else "refused", found if isinstance(found, str) else ""]
    except BaseException as error:
        said = ["checker_failed", f"{type(error).__name__}: {error}"]
    os.write(told, json.dumps({"said": said[0], "why": said[1][:200]}).encode())

"""


@dataclass(frozen=True, slots=True)
class Check:
    """`said` is ACCEPTED, REFUSED or FAILED; `why` is the checker's word, or how it failed."""

    said: str
    why: str = ""


def program_of(checker: str) -> str:
    """The Python program that judges one output a run."""
    return f"{AROUND}run_checker({checker!r})\n"


def question(given: bytes, output: str) -> bytes:
    """The input of that program. An input is UTF-8, as generators make it."""
    return canonical_json({"given": given.decode(), "output": output}).encode()


def read(outcome: str, output: str | None) -> Check:
    """What a run of that program says. Not to be asked where the sandbox failed: that says nothing."""
    if outcome != Outcome.OK:
        return Check(FAILED, str(outcome))
    try:
        found = json.loads(output or "")
        said, why = found["said"], str(found["why"]).encode(errors="replace").decode()
    except (ValueError, TypeError, KeyError):
        said = ""
    if said not in (ACCEPTED, REFUSED, FAILED):
        return Check(FAILED, "it ended without a verdict")
    return Check(said, why[:LONGEST_WHY])


class NoVerdict(RuntimeError):
    """The sandbox failed on a check: nothing is known of the output."""


class Checker:
    """A checker on a worker of its own; a context manager. Not to be shared by threads."""

    def __init__(self, box: Sandbox, checker: str) -> None:
        self._next: bytes = b""
        self._verdicts: Iterator[Verdict] = box.run(program_of(checker), "python", self._questions(), LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.closing(self._verdicts):  # type: ignore[type-var]
            pass

    def check(self, given: bytes, output: str) -> Check:
        """Raises NoVerdict where the sandbox itself failed."""
        self._next = question(given, output)
        verdict = next(self._verdicts)
        if verdict.outcome is Outcome.SANDBOX_ERROR:
            raise NoVerdict(verdict.detail)
        return read(verdict.outcome, normalise(verdict.stdout))

    def _questions(self) -> Iterator[bytes]:
        while True:
            yield self._next
