"""What an engine that was killed leaves on its machine of containers that it has forgotten.

An engine killed while it makes or removes a container may know nothing of it when it comes back, and leave the
container's keeper (containerd-shim), now and then the process below it, and empty control groups for ever. Belongs
here: finding and ending these, for given ids, on this machine. Does not belong here: containers that the engine knows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PATIENCE = 3.0  # seconds for keepers to end by themselves: they outlive a container by some milliseconds


class Remains:
    """Of containers with these ids, which must be gone: nothing of a live one may be touched."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = set(ids)

    def found(self) -> list[str]:
        """What there is, in words."""
        keepers = [f"keeper {pid} of container {identity}" for pid, identity in self._keepers().items()]
        return keepers + [f"cgroup {path}" for path in self._groups()]

    def clear(self) -> None:
        """Ends and removes it. What this user may not touch stays, and `found` tells."""
        until = time.monotonic() + _PATIENCE
        while (keepers := self._keepers()) and time.monotonic() < until:
            time.sleep(0.05)
        for pid in keepers:
            with contextlib.suppress(OSError):
                below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                for process in (*map(int, below), pid):
                    os.kill(process, signal.SIGKILL)
        until = time.monotonic() + _PATIENCE
        while (groups := list(self._groups())) and time.monotonic() < until:
            for group in groups:
                with contextlib.suppress(OSError):
                    group.rmdir()
            time.sleep(0.05)

    def _keepers(self) -> dict[int, str]:
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "containerd-shim" in words[0] and (identity := words[words.index("-id") + 1]) in self._ids:
                    found[int(pid)] = identity
        return found

    def _groups(self) -> Iterator[Path]:
        """Control groups, v1 or v2, in whatever parent the engine makes them: named by the id, or a scope of it."""
        with contextlib.suppress(OSError):
            for parent in (*_GROUPS.glob("*/"), *_GROUPS.glob("*/*/")):
                for name in os.listdir(parent):
                    if name.removeprefix("docker-").removesuffix(".scope") in self._ids:
                        yield parent / name
