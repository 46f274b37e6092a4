"""Locks: work that one process at a time may do on a home, held by a file.

Belongs here: holding one, saying who has it. Does not belong here: which work needs one (its own module).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from kimi_pipeline.errors import UserError


@contextlib.contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold the lock, after whoever has it; the kernel frees it when we die."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def only_one(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock; the kernel frees it when we die. Raises UserError where another process has it: `refusal`, in which
    `{holder}` stands for that process's id."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(refusal.replace("{holder}", file.read().strip() or "unknown")) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
