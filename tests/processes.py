"""Processes as tests look at them: whose they are, what is below one, which are left."""

from __future__ import annotations

import time
from pathlib import Path


def status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def family(process: int) -> list[int]:
    """A process and all below it. One that ends while we look is listed without any."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        children = []
    return [process, *(found for child in children for found in family(int(child)))]


def alive(process: int) -> bool:
    try:
        return not status(process)["State"].startswith(("Z", "X"))
    except OSError:
        return False


def survivors(processes: list[int]) -> list[int]:
    """Those that live after a moment: a process that has left its group and its files may take one more to be gone."""
    deadline = time.monotonic() + 5
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
