"""A door that is no sandbox at all: bare subprocesses. For tests alone, to see that the abuse suite can say no."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator

from sandbox.verdicts import Limits, Outcome, Verdict


class LeakyDoor:
    """Runs Python programs as this user, with this environment, on this network."""

    def run(self, program: str | bytes, language: str, inputs: Iterable[bytes], limits: Limits) -> Iterator[Verdict]:
        assert language == "python"
        text = program if isinstance(program, str) else program.decode()
        for index, data in enumerate(inputs):
            done = subprocess.run(
                [sys.executable, "-c", text], input=data, capture_output=True, check=False, timeout=60
            )
            outcome = Outcome.OK if done.returncode == 0 else Outcome.WRONG_EXIT
            yield Verdict(index, outcome, done.stdout, done.stderr, done.returncode)


class SilentDoor:
    """Contains everything by running nothing, and says that all is well."""

    def run(self, program: str | bytes, language: str, inputs: Iterable[bytes], limits: Limits) -> Iterator[Verdict]:
        for index, _ in enumerate(inputs):
            yield Verdict(index, Outcome.OK, exit_code=0)
