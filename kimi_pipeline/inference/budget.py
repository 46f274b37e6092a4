"""What a drawing may take: a budget of output tokens that it never exceeds, a time, a file that asks it to stop.

Belongs here: reserving, spending, giving back, when to begin nothing more. Does not belong here: in which order requests
are served (plans).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

BUDGET, DEADLINE, ASKED_TO_STOP = "budget", "deadline", "asked to stop"
LOOK_SECONDS = 1.0  # between two looks for the stop file


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

    @property
    def is_under_way(self) -> bool:
        """Whether something is reserved that may give back a part."""
        return self._reserved > 0

    def pay(self, reserved: int, used: int) -> None:
        """End a reservation: `used` tokens were paid for."""
        with self._lock:
            self._reserved -= reserved
            self.spent += used


class Bounds:
    """What ends a drawing before it is done: a token budget, a time (with its zone), a file that appears.

    Nothing is begun past any of them; what is under way is finished. `stopped_by` says which one said no first. A budget that
    is merely reserved by what is under way has not: an engine takes many requests ahead, and answers are mostly short.
    """

    def __init__(
        self,
        tokens: int | None = None,
        until: datetime | None = None,
        stop_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tokens = TokenBudget(tokens)
        self.until = until
        self.stop_file = stop_file
        self.stopped_by = ""
        self._clock = clock
        self._looked = 0.0
        self._asked = False

    def admit(self, tokens: int) -> bool:
        """Whether a request of at most so many tokens may begin now; where it may, its tokens are reserved."""
        if not self.stopped_by:
            now = self._clock()
            if self.until is not None and now >= self.until.timestamp():
                self.stopped_by = DEADLINE
            elif self._is_asked(now):
                self.stopped_by = ASKED_TO_STOP
            elif self.tokens.reserve(tokens):
                return True
            elif not self.tokens.is_under_way:
                self.stopped_by = BUDGET
        return False

    def _is_asked(self, now: float) -> bool:
        if self.stop_file is not None and not self._asked and abs(now - self._looked) >= LOOK_SECONDS:
            self._looked, self._asked = now, self.stop_file.exists()
        return self._asked
