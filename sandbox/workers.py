"""What a worker and a backend are, and how a fresh worker is greeted.

A worker is one closed room with an agent inside. It serves one submission, all its inputs, and is thrown away. A
backend makes rooms. All rooms look alike to the agent, so that a program gets the same verdict in each. A backend owes:

- `AGENT_COMMAND` as process 1 of its own pid namespace, as uid 0 of the room (in a user namespace: any host uid but
  root), with no capability but SETUID and SETGID, no_new_privs set, and at least `test_uid` beside uid 0 mapped.
  Programs run at `test_uid`, which no other worker uses at the same time: kernel limits by uid are then its own.
- stdin and stdout of the agent as the frame channel and nothing else of the host's: no network but its own loopback at
  most, no host file that can be written, an empty environment, namespaces for mount, pid, ipc, uts, net. When the host
  goes away, stdin must end: the agent then ends, and with process 1 the whole room.
- a read-only root with the languages' packages at the places that `languages.toml` names; at `SCRATCH` and `BOX` a
  tmpfs each, nosuid and nodev, sized by `WorkerSize` (bytes and inodes), SCRATCH also noexec. The agent sets modes.
  /proc of the room's own pid namespace. Python packages, where given, read-only at `PACKAGES`.
- `prepare` of a language, before a submission in it asks for a worker: from then on its `prepared` folder is there, read-only.
  An image may have it from its making.
- a memory cgroup of `memory_budget_mb(size)` without swap, a pids cgroup of `pids_budget(size)`, a cpu quota, and that
  cgroup readable (never writable) under /sys/fs/cgroup as Docker shows it: v2 `/sys/fs/cgroup/memory.stat`, v1
  `/sys/fs/cgroup/memory/memory.stat` and `/sys/fs/cgroup/cpuacct/cpuacct.usage`. The agent measures by it.
- a seccomp filter without keyctl, mount, unshare and their like.

Belongs here: the two protocols, the constants of a room, the greeting. Does not belong here: how one backend does it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sandbox import bundle, frames
from sandbox.errors import WorkerGone
from sandbox.frames import Decoder, FrameError, Kind
from sandbox.languages import Language
from sandbox.verdicts import WorkerSize

AGENT_COMMAND = (
    *("/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0"),
    *("/usr/bin/python3", "-s", "-P", "-B", "-c", bundle.BOOTSTRAP),
)
"""What process 1 of a worker runs. It reads the agent's text from stdin, so no image holds a stale agent. Hashes are
not randomised: the order of a set must not decide a verdict."""

STACK_BYTES = 1 << 30
"""The stack limit, soft and hard, under which a backend should start the agent; the agent raises a lower one itself."""

SCRATCH = ("/tmp", "/dev/shm")
"""Where programs may write. Emptied between inputs; the first is their working directory."""

BOX = "/box"
"""Where the source and what was compiled of it lie: the agent writes, programs read."""

PACKAGES = "/opt/packages"
"""Where a given folder of Python packages appears, read-only."""

AGENT_MEMORY_MB = 320
"""Beside programs: agent and zygote (about 30 MB), an input, and two streams of output at their largest, held twice."""

AGENT_PIDS = 8


def memory_budget_mb(size: WorkerSize) -> int:
    """The memory cgroup of a worker: programs, the writable places (a tmpfs is memory) and the agent."""
    return size.memory_mb + size.disk_mb * (len(SCRATCH) + 1) + AGENT_MEMORY_MB


def pids_budget(size: WorkerSize) -> int:
    """The pids cgroup of a worker."""
    return size.processes + AGENT_PIDS


class Worker(Protocol):
    """One room. `identity` names it in messages (a container id, a pid); `test_uid` is the uid of programs inside."""

    identity: str
    test_uid: int

    def send(self, data: bytes) -> None:
        """All of `data` to the agent's stdin. Raises WorkerGone when it died."""
        ...

    def receive(self, timeout: float) -> bytes:
        """What the agent wrote, some bytes at least; b"" when nothing came in `timeout` seconds.

        Raises WorkerGone when it died.
        """
        ...

    def kill(self) -> None:
        """Ends it and removes every trace. Safe to call twice, and from another thread."""
        ...


class Backend(Protocol):
    """A maker of workers. `image` is the digest of what programs run in."""

    name: str
    image: str
    size: WorkerSize
    host_memory_mb: int

    def prepare(self, language: Language) -> None:
        """See to what its compiler finds faster. Costs nothing the second time. Raises BackendUnavailable."""
        ...

    def start(self) -> Worker:
        """A worker whose agent has been started, not greeted yet. Raises BackendUnavailable, SandboxError."""
        ...

    def close(self) -> None:
        """Ends all of its workers."""
        ...

    def leftovers(self) -> list[str]:
        """Containers, cgroups, processes of this backend's that exist and belong to no live worker."""
        ...


@dataclass(slots=True)
class Channel:
    """Frames to and from one worker."""

    worker: Worker
    decoder: Decoder

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """Raises WorkerGone."""
        self.worker.send(frames.encode(kind, body))

    def receive(self, timeout: float) -> tuple[Kind, dict[str, Any], list[bytes]]:
        """The next frame, unpacked. Raises WorkerGone when it died, was silent too long, failed or spoke nonsense."""
        until = time.monotonic() + timeout
        try:
            while (frame := self.decoder.next()) is None:
                left = until - time.monotonic()
                if left <= 0:
                    raise WorkerGone(f"worker {self.worker.identity} gave no answer in {timeout:.0f} s")
                self.decoder.feed(self.worker.receive(left))
            kind, body = frame
            header, blobs = frames.unpack(body)
        except FrameError as error:
            raise WorkerGone(f"worker {self.worker.identity} broke the protocol: {error}") from error
        if kind is Kind.FAULT:
            raise WorkerGone(f"the agent in worker {self.worker.identity} failed: {header.get('detail', '')}")
        return kind, header, blobs

    def expect(self, kind: Kind, timeout: float) -> tuple[dict[str, Any], list[bytes]]:
        """The next frame, which must be of that kind. Raises WorkerGone otherwise."""
        got, header, blobs = self.receive(timeout)
        if got is not kind:
            raise WorkerGone(f"worker {self.worker.identity} sent {got.name} where {kind.name} was due")
        return header, blobs


def greet(worker: Worker, size: WorkerSize, preload: tuple[str, ...], timeout: float) -> Channel:
    """Sends a fresh worker its agent and settings and waits until it is ready. Raises WorkerGone."""
    channel = Channel(worker, Decoder())
    worker.send(bundle.agent_text())
    hello = {
        "uid": worker.test_uid,
        "scratch": list(SCRATCH),
        "box": BOX,
        "packages": PACKAGES,
        "preload": list(preload),
        "size": asdict(size),
    }
    channel.send(Kind.HELLO, frames.pack(hello))
    channel.expect(Kind.READY, timeout)
    return channel
