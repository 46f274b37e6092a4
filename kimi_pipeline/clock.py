"""The time that rows are stamped with: the clock's, but never before a stamp that was given.

Belongs here: the time of now, the newest stamp of a folder. Does not belong here: whose rows they are (`lake.py`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kimi_pipeline import locks

log = logging.getLogger("kimi_pipeline")
CLOCK = ".clock"  # the newest stamp of a folder
JUMP = timedelta(minutes=1)  # a clock that is further behind is worth a line


def now() -> datetime:
    return datetime.now(UTC)


def stamp(folder: Path) -> datetime:
    """The time that rows get which are written now: the clock's, but always after every stamp before, whatever the clock
    does, for all processes that share the folder. The order of decisions is the order of their times."""
    folder.mkdir(parents=True, exist_ok=True)
    with locks.in_turn(folder / CLOCK) as file:
        file.seek(0)
        said = file.read()
        last, clock = datetime.fromisoformat(said) if said else None, now()
        if last is not None and last - clock > JUMP:
            log.warning("the clock says %s, rows of the lake are newer: they go on from %s", clock, last)
        made = clock if last is None else max(clock, last + timedelta(microseconds=1))
        file.truncate(0)
        file.write(made.isoformat())
    return made
