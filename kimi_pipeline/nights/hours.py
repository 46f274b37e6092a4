"""Hours of a night: from when until when it works.

Belongs here: arithmetic of times in the night's zone. Does not belong here: cron (Dagster's), clocks (callers give `now`).
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

LONGEST = timedelta(hours=24)


def next_time(text: str, after: datetime, timezone: str) -> datetime:
    """The first moment after `after` at which the clocks of `timezone` show `text` (HH:MM)."""
    zone = ZoneInfo(timezone)
    local = after.astimezone(zone)
    shown = time.fromisoformat(text)
    today = datetime.combine(local.date(), shown, tzinfo=zone)
    return today if today > local else datetime.combine(local.date() + timedelta(days=1), shown, tzinfo=zone)


def deadline(begun: datetime, due: datetime, until: str | None, timezone: str) -> datetime | None:
    """When a night that was due at `due` and began at `begun` begins no new work; None: never.

    A night that begins on time ends at the next `until`. One that is made up for later works as long as it would have.
    """
    if until is None:
        return None
    end = next_time(until, due, timezone)
    return end if due <= begun < end else begun + (end - due)
