"""The one exception a person is meant to read.

Belongs here: `UserError`, raised for bad usage or bad input. Does not belong here: defects (plain exceptions, with a
traceback) and refused rows (those go to `quarantine` with a reason code).
"""

from __future__ import annotations


class UserError(Exception):
    """Bad usage or bad input: one line that names the file or field and the fix. The terminal exits with code 2."""
