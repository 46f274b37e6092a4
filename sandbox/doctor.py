"""Doctor: which backend works on this machine, and what to do about the other.

Belongs here: looking, and one program that is really run on each backend. Does not belong here: mending anything.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sandbox
from sandbox import languages
from sandbox.backends import cgroups
from sandbox.errors import SandboxError
from sandbox.verdicts import Limits, Outcome

_TRY = Limits(cpu_seconds=10, wall_seconds=20, memory_mb=512)
_TRIALS = {
    "python": "print(6 * 7)",
    "cpp": '#include <cstdio>\nint main() { puts("42"); }',
    "javascript": "console.log(6 * 7)",
    "bash": "echo $((6 * 7))",
}
"""A program that prints 42, for the built-in languages. Others are not tried."""


@dataclass(frozen=True)
class Finding:
    """One line. `ok` is None for what is absent but not needed, as the other backend works."""

    what: str
    ok: bool | None
    detail: str
    fix: str = ""


def examine(backends: Iterable[str] = sandbox.BACKENDS, **settings: Any) -> list[Finding]:
    """What works, backend by backend. `settings` are those of `make_backend`.

    The first finding is the whole answer: `ok` is True where some backend runs programs.
    """
    found, working, refusals = [], [], []
    for name in backends:
        try:
            tried = _tried(name, settings)
        except SandboxError as error:
            refusals.append((name, str(error)))
            continue
        working.append(name)
        found += tried
    fix = "" if working else "; or: ".join(f"{name}: {reason}" for name, reason in refusals)
    answer = (
        f"{' and '.join(working)} can run untrusted programs" if working else "no backend works: nothing untrusted runs"
    )
    refused = [
        Finding(f"sandbox: {name}", None if working else False, "unavailable", reason) for name, reason in refusals
    ]
    return [Finding("sandbox", bool(working), answer, fix), *found, *refused, *_machine()]


def _tried(name: str, settings: dict[str, Any]) -> list[Finding]:
    """Run one small program a language. Raises SandboxError where the backend cannot be used."""
    with sandbox.open(name, pool_size=1, patience=20.0, **settings) as opened:
        lines = [Finding(f"sandbox: {name}", True, f"programs run in {opened.backend.image[:19]}")]
        for language in sorted(set(languages.built_in()) & set(_TRIALS)):
            verdict = next(opened.run(_TRIALS[language], language, [b""], _TRY))
            if verdict.outcome == Outcome.SANDBOX_ERROR:
                raise SandboxError(verdict.detail)
            works = verdict.outcome == Outcome.OK and verdict.stdout.strip() == b"42"
            packages = " ".join(languages.built_in()[language].packages)
            detail = f"runs, {verdict.wall_seconds * 1000:.0f} ms" if works else f"{verdict.outcome}: {verdict.detail}"
            fix = "" if works else f"give the image (or this machine) the packages of {language}: {packages}"
            lines.append(Finding(f"sandbox: {name}: {language}", True if works else None, detail, fix))
        return lines


def _machine() -> list[Finding]:
    """What the bubblewrap backend stands on."""
    programs = [name for name in ("bwrap", "newuidmap", "mmdebstrap", "dockerd") if shutil.which(name)]
    who = "root: rooms get host uids of their own" if os.geteuid() == 0 else "a user: rooms get subordinate uids"
    lines = [Finding("sandbox: machine", None, f"started by {who}; has {', '.join(programs) or 'no tool of these'}")]
    stale = cgroups.stale()
    if stale:
        text = f"{len(stale)} control groups of processes that are dead: {stale[0]}"
        lines.append(Finding("sandbox: leftovers", None, text, "the next start of the bubblewrap backend removes them"))
    return lines
