"""Runs the cases of abuse on a sandbox, and says of each whether it was contained.

Belongs here: the order of things. Does not belong here: cases, traps.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.abuse import compilers, network, processes, reach, remains, resources
from sandbox.abuse.case import Case, Seen
from sandbox.abuse.host import Host
from sandbox.errors import SandboxError
from sandbox.verdicts import Limits, Outcome, Verdict

_PARTS = (resources, network, reach, processes, remains, compilers)
CASES: tuple[Case, ...] = tuple(case for part in _PARTS for case in part.CASES)
_BURIAL_SECONDS = 5.0
_CONTROL = ("print(6 * 7)", b"42\n")


class Door(Protocol):
    """What the suite needs of a sandbox."""

    def run(
        self, program: str | bytes, language: str, inputs: Iterable[bytes], limits: Limits
    ) -> Iterator[Verdict]: ...


@dataclass(frozen=True)
class Finding:
    """What became of one case."""

    case: str
    backend: str
    contained: bool
    evidence: str


def names() -> list[str]:
    return [case.name for case in CASES]


def run_suite(door: Door, backend: str, wanted: Sequence[str] = ()) -> Iterator[Finding]:
    """A finding a case, as they come. `wanted` names the cases (all where empty).

    Each case is followed by a look at the host and by a harmless submission, which the sandbox must still serve. Raises
    SandboxError for an unknown case.
    """
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise SandboxError(f"no abuse case {unknown[0]!r}: one of {', '.join(names())}")
    with Host() as host:
        before = host.state()
        for case in CASES:
            if not wanted or case.name in wanted:
                yield _one(door, backend, case, host, before)


def _one(door: Door, backend: str, case: Case, host: Host, before: dict[str, str]) -> Finding:
    host.saw()
    try:
        verdicts = list(door.run(case.program, case.language, _inputs(host, case.turns), case.limits))
        after = list(door.run(case.after, "python", _inputs(host, 1), case.limits)) if case.after else []
        contained, evidence = _judged(case, Seen(verdicts, after, host.saw(), case.limits))
        changes = _changes(host, before)
        if changes:
            contained, evidence = False, f"the host has changed: {'; '.join(changes[:5])} ({evidence})"
        control = list(door.run(_CONTROL[0], "python", [b""], case.limits))
        if [(v.outcome, v.stdout) for v in control] != [(Outcome.OK, _CONTROL[1])]:
            contained, evidence = False, f"the sandbox serves no longer: {control[0].outcome} ({evidence})"
    except SandboxError as error:
        contained, evidence = False, f"the sandbox failed: {error}"
    return Finding(case.name, backend, contained, evidence)


def _inputs(host: Host, turns: int) -> list[bytes]:
    return [json.dumps(host.planted(turn)).encode() for turn in range(turns)]


def _judged(case: Case, seen: Seen) -> tuple[bool, str]:
    broken = [verdict for verdict in (*seen.verdicts, *seen.after) if verdict.outcome == Outcome.SANDBOX_ERROR]
    if broken:
        return False, f"sandbox error: {broken[0].detail}"
    if len(seen.verdicts) != case.turns:
        return False, f"{len(seen.verdicts)} verdicts of {case.turns}"
    leaked = [v for v in (*seen.verdicts, *seen.after) if seen.host["secret"].encode() in v.stdout + v.stderr]
    if leaked:
        return False, f"what the host keeps secret came out: {leaked[0].stdout[-200:].decode(errors='replace')}"
    try:
        contained, evidence = case.judge(seen)
    except (KeyError, TypeError, ValueError, IndexError) as error:  # a report that the program made up
        return False, f"a report that makes no sense: {type(error).__name__} {error}"
    return contained, evidence


def _changes(host: Host, before: dict[str, str]) -> list[str]:
    """What differs on the host. Workers are buried in the background: what is dying gets a moment."""
    deadline = time.monotonic() + _BURIAL_SECONDS
    marked = host.marked()
    while marked and time.monotonic() < deadline:
        time.sleep(0.05)
        marked = host.marked()
    now = host.state()
    changed = [
        f"{name}: {before.get(name, 'absent')!r:.60} to {now.get(name, 'absent')!r:.60}"
        for name in before | now
        if before.get(name) != now.get(name)
    ]
    if changed:
        with contextlib.suppress(OSError):
            before.update(now)  # what one case did is not laid to the next
    return [*marked, *changed]
