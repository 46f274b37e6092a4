"""A budget of output tokens that a drawing never exceeds.

Belongs here: reserving, spending, giving back. Does not belong here: in which order requests are served (plans).
"""

from __future__ import annotations

import threading


class TokenBudget:
    """`limit` output tokens (None: no limit). A request reserves the most that it may take and pays what it took, so the
    sum of what was paid stays within the limit however long answers turn out. Safe for several threads."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.spent = 0
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self, tokens: int) -> bool:
        """Whether there is room for a request of at most so many tokens; where there is, it is taken."""
        with self._lock:
            if self.limit is not None and self.spent + self._reserved + tokens > self.limit:
                return False
            self._reserved += tokens
            return True

    def pay(self, reserved: int, used: int) -> None:
        """End a reservation: `used` tokens were paid for."""
        with self._lock:
            self._reserved -= reserved
            self.spent += used
