"""Faults of the chaos bench: which one a round gets and when, and how it strikes a run.

Belongs here: drawing, killing, filling a disk, what the run's processes are told to do to themselves. Does not belong here:
how they do that (`benchmarks/chaos/sitecustomize.py`), running and judging (`chaos.py`, `chaos_judging.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline.home import CHECKOUT
from kimi_pipeline.jobs import OWNER

KINDS = ("kill", "dead_engine", "full_disk", "clock", "slow_storage")
VARIABLE = "KIMI_CHAOS"
INJECTION = CHECKOUT / "benchmarks" / "chaos"
WARM = "kimi_pipeline.training.warm"
MOMENTS = (0.04, 0.96)  # of an undisturbed run
HOURS = (1.0, 48.0)  # that a clock jumps, either way
DISK = "400m"  # half of it must be free for a run to begin at all
POLL = 0.02
IDLE = "the idle warm process"  # a run goes on without it


@dataclass(frozen=True)
class Round:
    """`moment` is a share of an undisturbed run's time; `detail` says what exactly is done then."""

    number: int
    kind: str
    moment: float
    detail: dict[str, Any]


def draw_rounds(count: int, seed: int, kinds: Sequence[str] = KINDS) -> list[Round]:
    """The same for the same seed, and fewer rounds are the beginning of more. Every `len(kinds)` rounds hold each kind once."""
    order: list[str] = []
    shuffler = random.Random(seed)
    while len(order) < count:
        order += shuffler.sample(list(kinds), len(kinds))
    rounds = []
    for number, kind in enumerate(order[:count], start=1):
        rng = random.Random(f"{seed}:{number}")
        moment = round(rng.uniform(*MOMENTS), 3)
        rounds.append(Round(number, kind, moment, _detail(kind, rng)))
    return rounds


def _detail(kind: str, rng: random.Random) -> dict[str, Any]:
    if kind == "kill":
        return {"target": rng.choice(("command", "run"))}  # what was typed, or the process below it that does the work
    if kind == "dead_engine":
        return {"target": rng.choice(("job", "job", "job", "warm process"))}
    if kind == "clock":
        return {"hours": round(rng.choice((-1, 1)) * rng.uniform(*HOURS), 2)}
    if kind == "slow_storage":
        return {"seed": rng.randrange(2**31)}
    return {}


def environment(one: Round, at: float, home: Path, told: Path) -> dict[str, str]:
    """What the processes of the run find in their environment for this fault."""
    if one.kind == "clock":
        said: dict[str, Any] = {"clock": {"at": at, "by": one.detail["hours"] * 3600}}
    elif one.kind == "slow_storage":
        said = {"slow": {"at": at, "seed": one.detail["seed"], "home": str(home), "told": str(told)}}
    else:
        return {}
    return {VARIABLE: json.dumps(said), "PYTHONPATH": f"{INJECTION}{os.pathsep}{CHECKOUT}"}


def strike(one: Round, process: subprocess.Popen[bytes], home: Path, at: float, until: float, told: Path) -> str:
    """Wait for the moment and do it; says what was hit, nothing where the run had ended before."""
    while time.monotonic() < at and process.poll() is None:
        time.sleep(POLL)
    hit = ""
    while not hit and process.poll() is None and time.monotonic() < until:
        match one.kind:
            case "clock":
                hit = f"the clock by {one.detail['hours']:+.1f} hours"
            case "full_disk":
                hit = _fill(home, process, until)
            case "kill":
                hit = _kill_main(one.detail["target"], process)
            case "dead_engine":
                hit = _kill_job(one.detail["target"], home)
            case "slow_storage":
                if told.is_file() and (lines := told.read_text().splitlines()):
                    said = json.loads(lines[0])
                    _killed(said["process"])  # before the command: whose death would ask it to end in order
                    process.kill()
                    hit = f"killed in a slow {said['what']}"
        time.sleep(POLL)
    return hit


def _kill_main(target: str, process: subprocess.Popen[bytes]) -> str:
    if target == "command":
        process.kill()
        return target
    below = [pid for pid in _pids() if _parent(pid) == process.pid and b"assets.launch" in _read(pid, "cmdline")]
    return target if below and _killed(below[0]) else ""


def _kill_job(target: str, home: Path) -> str:
    """SIGKILL of a job that is there now, or of the warm process. Jobs lead sessions of their own; a fork of the warm process
    has that one's words."""
    for pid in processes_of(home):
        words = _words(pid)
        is_warm = WARM in words and WARM not in _words(_parent(pid))
        if target == "job" and not is_warm and _leads(pid) and f"{OWNER}=".encode() in _read(pid, "environ"):
            name = words[words.index("-m") + 1] if "-m" in words else words[0]
            if _killed(pid):
                return f"a fork of {WARM}" if name == WARM else name
        elif target == "warm process" and is_warm:
            has_job = any(_parent(other) == pid and WARM in _words(other) for other in _pids())
            if _killed(pid):
                return f"{target} with a job" if has_job else IDLE
    return ""


def _fill(home: Path, process: subprocess.Popen[bytes], until: float) -> str:
    """Leave no room on the home's disk until the run has ended: what it removes is taken at once."""
    with filler(home).open("ab", buffering=0) as file:
        while process.poll() is None and time.monotonic() < until:
            free = os.statvfs(home)
            with contextlib.suppress(OSError):
                if free.f_bavail:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free.f_bavail * free.f_frsize)
            time.sleep(POLL)
    return "the disk"


def filler(home: Path) -> Path:
    """The file that takes all room, beside the home on the same disk."""
    return home.parent / "filler"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A small file system in memory on a folder. Raises PermissionError where none can be mounted."""
    clear(folder)
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        raise PermissionError("a small disk can't be mounted here (that needs root)")
    try:
        yield folder
    finally:
        clear(folder)


def clear(folder: Path) -> None:
    """Remove a round's folder, also where a bench that was killed left a disk mounted there."""
    while os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder, ignore_errors=True)


# -- processes ----------------------------------------------------------------------------------------------------------


def processes_of(home: Path) -> list[int]:
    """Living processes whose environment names this home, but for this one."""
    wanted = f"KIMI_HOME={home}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in _read(pid, "environ").split(b"\0")]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has gone, or is another's
        return b""


def _words(pid: int) -> list[str]:
    return [word.decode(errors="replace") for word in _read(pid, "cmdline").split(b"\0")]


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _leads(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True
