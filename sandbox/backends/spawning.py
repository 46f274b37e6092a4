"""The host's side of the spawner (`bubblewrap_spawner.py`): starting it, asking it for a room, ending it.

Belongs here: the process and its socket. Does not belong here: what a room is.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

ANSWER_SECONDS = 30.0
_PROGRAM = Path(__file__).with_name("bubblewrap_spawner.py")


class Spawner:
    """A process that starts rooms. It is started at the first need, and again where somebody killed it.

    It outlives nobody: when this process ends, however it ends, the spawner ends its rooms and removes `keep_clean`.
    """

    def __init__(self, keep_clean: list[str]) -> None:
        self._keep_clean = keep_clean
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._owner = os.getpid()

    def start(
        self,
        *,
        user: int | None,
        room_uid: int,
        beside: int,
        entrances: list[str],
        command: list[str],
        descriptors: list[int],
    ) -> int:
        """The process id of the bubblewrap that now runs `command`. Raises SandboxError, with the reason."""
        if os.getpid() != self._owner:
            raise SandboxError("a sandbox does not survive a fork: open one in the process that uses it")
        request = {
            "user": user,
            "room_uid": room_uid,
            "beside": beside,
            "entrances": entrances,
            "command": command,
        }
        text = json.dumps(request).encode()
        with self._lock:
            try:
                answer = self._ask(text, descriptors)
            except OSError:  # somebody killed it since it was last asked
                self._end()
                try:
                    answer = self._ask(text, descriptors)
                except OSError as error:
                    self._end()
                    raise SandboxError(f"backend bubblewrap: the spawner does not answer: {error}") from error
        if "error" in answer:
            raise SandboxError(f"backend bubblewrap cannot make a room: {answer['error']}")
        return int(answer["pid"])

    def _ask(self, text: bytes, descriptors: list[int]) -> dict[str, Any]:
        channel = self._open()
        socket.send_fds(channel, [text], descriptors)
        answer = channel.recv(65536)
        if not answer:
            raise ConnectionResetError("it died")
        found: dict[str, Any] = json.loads(answer)
        return found

    def children(self) -> list[int]:
        """The processes that the spawner has started and that exist."""
        if self._process is None:
            return []
        try:
            text = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        except OSError:
            return []
        return [int(number) for number in text.split() if _alive(int(number))]

    def close(self) -> None:
        """End the spawner and with it every room. Safe to call twice."""
        with self._lock:
            self._end()

    def _open(self) -> socket.socket:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_SECONDS)
        # A few programs of the system's are all it needs of an environment.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "KEEP_CLEAN": json.dumps(self._keep_clean)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_PROGRAM), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        self._channel = ours
        return ours

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                self._process.wait()
        self._channel = self._process = None


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
