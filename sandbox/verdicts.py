"""Verdicts: what one input of a submission came to, and the limits it ran under.

Belongs here: `Outcome`, `Limits`, `WorkerSize`, `Verdict`. Does not belong here: how they are enforced (`agent.py`),
or what a caller makes of them (a reward, an agreement).
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sandbox.errors import SandboxInputError

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
"""The largest `output_bytes`: what the agent may have to hold, and one frame to carry, twice."""

MAX_INPUT_BYTES = 64 * 1024 * 1024
MAX_SOURCE_BYTES = 1024 * 1024


class Outcome(StrEnum):
    """How a run ended. SANDBOX_ERROR is no statement on the program: it must never count as a wrong answer."""

    OK = "ok"
    WRONG_EXIT = "wrong_exit"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    SANDBOX_ERROR = "sandbox_error"


def _check_positive(owner: object) -> None:
    for field in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, field.name)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        whole = isinstance(value, int) or field.type == "float"
        if not (number and whole and value > 0):
            kind = "number" if field.type == "float" else "whole number"
            raise SandboxInputError(f"{field.name} is {value!r}: give a {kind} above 0")


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """What one worker may take, all its processes together. Limits of a submission stay within it.

    Raises SandboxInputError, naming the field, on anything that is not above zero.
    """

    memory_mb: int = 2048  # of programs; the agent's own need comes on top
    processes: int = 128  # processes and threads of programs
    disk_mb: int = 256  # of each writable place
    files: int = 16384  # inodes of each writable place
    cpus: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one run. CPU time decides a time limit; `wall_seconds` only stops programs that wait.

    `wall_seconds` counts seconds in which no thread of the program runs or waits for a core, so a loaded machine does
    not change a verdict. Raises SandboxInputError, naming the field, on zero, negative or non-finite values.
    """

    cpu_seconds: float = 10.0  # of the program and all its children
    wall_seconds: float = 10.0  # blocked: asleep, or waiting for something that does not come
    memory_mb: int = 512  # resident, all processes together
    output_bytes: int = 8 * 1024 * 1024  # of stdout, and again of stderr
    processes: int = 64  # processes and threads
    disk_mb: int = 64  # of files left or held in the writable places
    files: int = 4096  # inodes there
    compile_seconds: float = 30.0  # CPU seconds of the compiler
    compile_memory_mb: int = 1024

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.output_bytes > MAX_OUTPUT_BYTES:
            raise SandboxInputError(f"output_bytes is {self.output_bytes}: at most {MAX_OUTPUT_BYTES}")

    def scaled(self, time_factor: float, memory_factor: float, memory_extra_mb: int) -> Limits:
        """These limits for a language that needs more time or memory for the same work."""
        return replace(
            self,
            cpu_seconds=self.cpu_seconds * time_factor,
            memory_mb=math.ceil(self.memory_mb * memory_factor) + memory_extra_mb,
        )

    def check_within(self, size: WorkerSize, host_memory_mb: int) -> None:
        """Raises SandboxInputError, naming the field, where a worker or its machine can't give that much."""
        for name in ("memory_mb", "compile_memory_mb"):
            if getattr(self, name) > host_memory_mb:
                raise SandboxInputError(
                    f"{name} is {getattr(self, name)}: above the {host_memory_mb} MB of the machine that runs the sandbox"
                )
        for name in ("memory_mb", "compile_memory_mb", "processes", "disk_mb", "files"):
            bound = name.removeprefix("compile_")
            if getattr(self, name) > getattr(size, bound):
                raise SandboxInputError(
                    f"{name} is {getattr(self, name)}: a worker has {getattr(size, bound)}; lower it, "
                    f"or open the sandbox with WorkerSize({bound}=...)"
                )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a program did with one input.

    `stdout` and `stderr` are what it wrote, up to the output limit; `truncated` says that there was more. `cpu_seconds`
    counts the program and its children; `peak_memory_mb` is resident memory (a few MB of the sandbox's own start
    included). `exit_code` is negative for a signal and None where no program ran. `image` is the digest of what it ran
    in. `detail` says in words what `outcome` leaves open.
    """

    input_index: int
    outcome: Outcome
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    truncated: bool = False
    image: str = ""
    detail: str = ""


def host_memory_mb() -> int:
    """Memory of this machine in MB (2^20 bytes)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
