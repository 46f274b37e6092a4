"""Folders that appear whole: filled under a hidden name, then renamed into place.

Belongs here: the hidden folder, and clearing away those that killed processes left. Does not belong here: what is written into
one (`checkpoints.py`, `curation/tagging/classifier.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A fresh hidden folder below `root`; what is still there under its name at the end is removed.

    Whoever has one shares the root's lock, and the kernel frees the share of a killed process. So where the lock is to be had
    alone, every hidden folder was left by somebody dead.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("a") as lock:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in root.iterdir():
                if path.name.startswith(".") and path.is_dir():
                    shutil.rmtree(path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        scratch = root / f".{uuid.uuid4().hex}"
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
