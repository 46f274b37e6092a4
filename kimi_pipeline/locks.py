"""Locks: work that one process at a time may do on a home, held by a file.

Belongs here: holding one, saying who has it. Does not belong here: which work needs one (its own module).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from kimi_pipeline.errors import UserError


@contextlib.contextmanager
def in_turn(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[IO[str]]:
    """Hold the lock, after whoever has it (`waiting` is called then); the kernel frees it when we die. Gives its file."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock. False where there is no such file: its holder may be about to make it."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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
