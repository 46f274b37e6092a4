"""What a case of abuse is, and the ways to judge one.

Belongs here: `Case`, the judges, the words that all programs begin with. Does not belong here: any single case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.verdicts import Limits, Outcome, Verdict

QUICK = Limits(
    cpu_seconds=2.0,
    wall_seconds=2.0,
    memory_mb=96,
    output_bytes=200_000,
    processes=24,
    disk_mb=16,
    files=500,
    compile_seconds=4.0,
    compile_memory_mb=384,
)
"""Small limits, so that the suite is quick; what bounds a program at 96 MB bounds it at 512."""

WALKS = replace(QUICK, cpu_seconds=20.0, wall_seconds=20.0)
"""For cases that visit every folder they can see: the time that takes is the machine's, not what is judged."""

PRELUDE = """
import ctypes, errno, json, os, socket, sys, time
ask = json.load(sys.stdin)
could, refused = [], []

def attempt(name, action):
    try:
        got = action()
    except BaseException as error:
        refused.append(name + ": " + errno.errorcode.get(getattr(error, "errno", None), type(error).__name__))
    else:
        could.append((name + ": " + repr(got))[:200])

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

def call(number, *arguments):
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result

def probe(name, number, *arguments):
    "For calls that must not succeed even where they can: nonsense is asked, only a flat refusal counts as one."
    try:
        got = call(number, *arguments)
    except OSError as error:
        told = errno.errorcode.get(error.errno, str(error.errno))
        if error.errno in (errno.EPERM, errno.ENOSYS, errno.EACCES):
            refused.append(name + ": " + told)
        else:
            could.append(name + ": reached the kernel, " + told)
    else:
        could.append(name + ": " + repr(got))

def mark(name):
    "Processes carry the token as their name, so that the host finds them wherever they are."
    _libc.prctl(15, name.encode(), 0, 0, 0)

def done(**more):
    print(json.dumps({"could": could, "refused": refused, **more}), flush=True)
"""
"""What Python programs begin with: attempts that are counted, and a report."""

ALIVE = "the worker still serves"


@dataclass(frozen=True)
class Seen:
    """What there is to judge: verdicts of the program, of the program after it, and what the host saw meanwhile."""

    verdicts: Sequence[Verdict]
    after: Sequence[Verdict]
    host: dict[str, Any]
    limits: Limits


Judge = Callable[[Seen], tuple[bool, str]]


@dataclass(frozen=True)
class Case:
    """One abuse. `program` gets a JSON object with what is planted on the host (and `turn`: 0, 1, ...), `turns` times;

    `after` is then run as a submission of its own. `harmless` says that it does no damage where nothing contains it.
    """

    name: str
    about: str
    program: str
    judge: Judge
    language: str = "python"
    turns: int = 1
    after: str | None = None
    limits: Limits = field(default=QUICK)
    harmless: bool = False


def report(verdict: Verdict) -> dict[str, Any] | None:
    """The JSON object in a program's last line of output, or None."""
    lines = verdict.stdout.decode(errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (ValueError, IndexError):
        return None
    return found if isinstance(found, dict) else None


def said(verdict: Verdict) -> str:
    """A verdict in a few words, for the evidence."""
    return f"{verdict.outcome}" + (f" ({verdict.detail[:120]})" if verdict.detail else "")


def refused(at_least: int, after: int | None = None) -> Judge:
    """Contained: the program ran to its end, tried at least so many things, and none of them worked.

    `after`: the same of the program that ran after it.
    """

    def judge(seen: Seen) -> tuple[bool, str]:
        texts = []
        asked = [(seen.verdicts[-1], at_least)] + ([(seen.after[-1], after)] if after is not None else [])
        for verdict, wanted in asked:
            found = report(verdict)
            if verdict.outcome != Outcome.OK or found is None:
                return False, f"no report: {said(verdict)} {verdict.stderr[-200:].decode(errors='replace')}"
            if found["could"]:
                return False, f"could: {'; '.join(found['could'][:5])}"
            if len(found["refused"]) < wanted:
                return False, f"tried {len(found['refused'])} things where {wanted} were due"
            kinds = sorted({text.rsplit(": ", 1)[-1] for text in found["refused"]})
            texts.append(f"{len(found['refused'])} attempts, all refused ({', '.join(kinds)[:120]})")
        return True, "; afterwards ".join(texts)

    return judge


def ended(*outcomes: Outcome, within: Callable[[Verdict], str | None] | None = None) -> Judge:
    """Contained: the first turn ended with one of these outcomes, and in the next one the same worker answered ALIVE.

    `within` may name a figure of the first verdict that is out of bounds.
    """

    def judge(seen: Seen) -> tuple[bool, str]:
        first, second = seen.verdicts[0], seen.verdicts[1]
        if first.outcome not in outcomes:
            return False, f"ended as {said(first)}, not as {' or '.join(outcomes)}"
        if second.outcome != Outcome.OK or ALIVE.encode() not in second.stdout:
            return False, f"ended as {said(first)}; the next input then as {said(second)}"
        excess = within(first) if within else None
        if excess:
            return False, f"{said(first)}, but {excess}"
        figures = f"{first.cpu_seconds:.2f} s CPU, {first.peak_memory_mb:.0f} MB, {len(first.stdout)} bytes of output"
        return True, f"{said(first)}; {figures}; the next input of the same worker was served"

    return judge


def compile_stopped(seen: Seen) -> tuple[bool, str]:
    """Contained: the compiler was stopped or refused the source, and said so for every input."""
    verdict = seen.verdicts[0]
    text = (verdict.detail + " " + (verdict.stderr or verdict.stdout)[-160:].decode(errors="replace")).strip()
    return verdict.outcome == Outcome.COMPILE_ERROR, f"{verdict.outcome}: {' '.join(text.split())[:200]}"


def python(*lines: str) -> str:
    """A program: the prelude, and these parts."""
    return PRELUDE + "\n".join(lines)


def bomb(body: str) -> str:
    """A Python program that does `body` on its first turn and answers ALIVE on the others."""
    indented = "\n".join("    " + line for line in body.strip("\n").splitlines())
    return PRELUDE + f"\nif ask['turn']:\n    print({ALIVE!r})\nelse:\n{indented}\n"
