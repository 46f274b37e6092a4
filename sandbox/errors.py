"""The sandbox's errors.

Belongs here: what a caller may catch. Does not belong here: outcomes of programs (`verdicts.py`); a program that fails
is a result, not an error.
"""

from __future__ import annotations


class SandboxError(Exception):
    """Base of all errors of the sandbox. The message is one line that names the setting and the fix."""


class SandboxInputError(SandboxError):
    """What was asked for can't be run: unknown language, empty or binary source, limits of zero."""


class BackendUnavailable(SandboxError):
    """No worker can be made: no engine, wrong socket, no permission, a missing program or image."""


class WorkerGone(SandboxError):
    """A worker died or broke the protocol. The runner takes a fresh one; callers of the runner never see this."""
