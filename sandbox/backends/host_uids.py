"""The host's uids that rooms run under. Started by root: two a room, which no other room has at the same time. Started by
a user: the user's own for the agent, and a subordinate one for programs, which no other room of this process has.

Belongs here: giving them out. Does not belong here: becoming them (`bubblewrap_spawner.py`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import BackendUnavailable, SandboxError

FIRST = 1879048192
"""From here to 2^31 no distribution and no service manager gives out uids."""

ROOMS_A_PROCESS = 1024
_PROCESSES = 131072
_lock = threading.Lock()
_taken: set[int] = set()


def pair(slot: int) -> tuple[int, int]:
    """For a room started by root: the uid of the agent and that of programs."""
    first = FIRST + 2 * ((os.getpid() % _PROCESSES) * ROOMS_A_PROCESS + slot)
    return first, first + 1


def take_slot() -> int:
    """A number that no open room of this process has. Raises SandboxError when all are taken."""
    with _lock:
        for slot in range(ROOMS_A_PROCESS):
            if slot not in _taken:
                _taken.add(slot)
                return slot
    raise SandboxError(f"backend bubblewrap has {ROOMS_A_PROCESS} rooms open: lower the pool's size")


def give_slot(slot: int) -> None:
    """The room is gone; its number may be given out again."""
    with _lock:
        _taken.discard(slot)


def subordinate_ids() -> list[int]:
    """The numbers that newuidmap and newgidmap let this user map. Raises BackendUnavailable where there are none."""
    if shutil.which("newuidmap") is None:
        raise BackendUnavailable(
            "backend bubblewrap needs newuidmap where root does not start it: apt-get install uidmap"
        )
    names = {str(os.getuid())}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    ranges = [set(_subordinate_range(file, names)) for file in ("/etc/subuid", "/etc/subgid")]
    both = sorted(ranges[0] & ranges[1])
    if not both:
        raise BackendUnavailable(
            f"backend bubblewrap needs subordinate uids for programs: usermod --add-subuids 100000-165535 "
            f"--add-subgids 100000-165535 {min(names, key=str.isdigit)}"
        )
    return both[:ROOMS_A_PROCESS]


def _subordinate_range(file: str, names: set[str]) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for line in Path(file).read_text().splitlines():
            name, _, numbers = line.partition(":")
            first, _, count = numbers.partition(":")
            if name in names and first.isdigit() and count.isdigit():
                yield from range(int(first), int(first) + min(int(count), ROOMS_A_PROCESS))
