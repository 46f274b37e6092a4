"""Files that appear whole: written under a hidden name beside their place, then renamed into it.

Belongs here: that one step. Does not belong here: folders (`folders.py`), tables (`lake.py`), files that several processes write
at the same time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden path to write to, in the folder of `path`, which it replaces at the end; where the block raises it is removed.

    The hidden name is always the same: what a killed process left is overwritten by the next one.
    """
    scratch = path.with_name(f".{path.name}")
    try:
        yield scratch
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str, encoding: str = "utf-8") -> None:
    """All of the text or nothing, also where the disk is full. Raises OSError."""
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding=encoding, newline="")
