"""The one exception a person is meant to read.

Belongs here: `UserError`, raised for bad usage or bad input. Does not belong here: defects (plain exceptions, with a
traceback) and refused rows (those go to `quarantine` with a reason code).
"""

from __future__ import annotations

import re
from collections.abc import Sequence


class UserError(Exception):
    """Bad usage or bad input: one line that names the file or field and the fix. The terminal exits with code 2."""


def says(error: Exception, numbers: Sequence[int]) -> bool:
    """Whether an error is one of the system's, which Delta tells in words of its own."""
    told = str(error)
    return any(
        re.search(rf"os error {number}\b", told)
        or f"Os {{ code: {number}," in told
        or getattr(error, "errno", None) == number
        for number in numbers
    )
