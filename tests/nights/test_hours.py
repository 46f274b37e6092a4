"""Hours of a night, also of one in which the clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kimi_pipeline.nights.hours import deadline, next_time


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "after", "found"),
    [
        ("02:30", "2026-10-24T23:00", "2026-10-25T00:30"),  # 01:00; the hour from two to three comes twice
        ("02:30", "2026-10-25T00:45", "2026-10-25T01:30"),  # 02:45 the first time
        ("02:30", "2026-10-25T01:15", "2026-10-25T01:30"),  # 02:15 the second time
        ("02:30", "2026-10-25T01:45", "2026-10-26T01:30"),
        ("02:30", "2026-03-29T00:00", "2026-03-29T01:30"),  # no 02:30: what would have been
        ("02:30", "2026-03-29T02:00", "2026-03-30T00:30"),
        ("06:00", "2026-11-25T05:00", "2026-11-26T05:00"),
    ],
)
def test_the_next_time_is_after(shown: str, after: str, found: str) -> None:
    assert next_time(shown, at(after), "Europe/Berlin") == at(found)


def test_a_night_in_which_the_clocks_go_back_has_time_left() -> None:
    begun = at("2026-10-25T01:15")
    assert deadline(begun, begun, "02:30", "Europe/Berlin") == at("2026-10-25T01:30")
