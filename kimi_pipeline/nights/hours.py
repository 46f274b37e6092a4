"""Hours of a night: from when until when it works.

Belongs here: arithmetic of times in the night's zone. Does not belong here: cron (Dagster's), clocks (callers give `now`).
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

LONGEST = timedelta(hours=24)


def next_time(text: str, after: datetime, timezone: str) -> datetime:
    """The first moment after `after` at which the clocks of `timezone` show `text` (HH:MM), in UTC: times of one zone are
    compared and subtracted as its clocks show them, wrongly in a night in which those are changed."""
    zone = ZoneInfo(timezone)
    shown, today = time.fromisoformat(text), after.astimezone(zone).date()
    when = ((today, 0), (today, 1), (today + timedelta(days=1), 0))  # 1: the second time, where an hour comes twice
    moments = (datetime.combine(day, shown.replace(fold=fold), tzinfo=zone).astimezone(UTC) for day, fold in when)
    return next(moment for moment in moments if moment > after)


def deadline(begun: datetime, due: datetime, until: str | None, timezone: str) -> datetime | None:
    """When a night that was due at `due` and began at `begun` begins no new work; None: never.

    A night that begins on time ends at the next `until`. One that is made up for later works as long as it would have.
    """
    if until is None:
        return None
    end = next_time(until, due, timezone)
    return end if due <= begun < end else begun + (end - due)
