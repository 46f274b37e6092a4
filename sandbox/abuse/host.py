"""The host during the suite: what is planted for programs to find, what may not change, what listens for them.

Belongs here: traps and looking. Does not belong here: deciding (`case.py`). A machine has other users; so everything is
found by a token that only this suite has, and nothing that others do counts as a change.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox import workers

WATCHED_FILES = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts", "/etc/ld.so.preload", "/etc/crontab")
WATCHED_FOLDERS = (
    *("/", "/etc", "/etc/cron.d", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/bin"),
    *("/usr/lib", "/usr/local/bin", "/var/tmp", "/var/lib", "/dev", "/dev/shm", "/dev/mqueue"),
)
WATCHED_SWITCHES = [
    "kernel/hostname",
    "kernel/domainname",
    "kernel/core_pattern",
    "kernel/modprobe",
    "kernel/panic",
    "kernel/randomize_va_space",
    "kernel/yama/ptrace_scope",
    "kernel/sysrq",
    "kernel/pid_max",
    "kernel/threads-max",
    "kernel/unprivileged_bpf_disabled",
    "kernel/perf_event_paranoid",
    "kernel/kptr_restrict",
    "kernel/dmesg_restrict",
    "kernel/shmmax",
    "vm/overcommit_memory",
    "vm/drop_caches",
    "vm/swappiness",
    "vm/mmap_min_addr",
    "vm/panic_on_oom",
    "fs/protected_symlinks",
    "fs/protected_hardlinks",
    "fs/suid_dumpable",
    "fs/file-max",
    "net/ipv4/ip_forward",
    "user/max_user_namespaces",
]
DAEMON_SECONDS = 8  # longer than the suite waits for what is dying
BEAT = 0.02
SETTLING_SECONDS = 5.0


class Host:
    """Traps on this machine, for the time of a `with`. `planted` is what programs are told of them."""

    def __enter__(self) -> Host:
        self.token = secrets.token_hex(8)
        self.secret = secrets.token_hex(16)
        """Stands in the planted files, in this process's memory and in the victim's environment; programs are told of

        the token only."""
        self._stack = contextlib.ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="abuse-")))
        self.folder.chmod(0o755)
        self.trap = self.folder / "trap"
        self.trap.write_text(f"{self.secret} {self.token}\n")
        self.trap.chmod(0o644)
        environment = os.environ | {"ABUSE_TRAP": f"{self.secret} {self.token}"}
        self.victim = subprocess.Popen(["sleep", "100000"], env=environment)
        self._stack.callback(self._end_victim)
        os.environ["ABUSE_TRAP"] = environment["ABUSE_TRAP"]
        self._stack.callback(os.environ.pop, "ABUSE_TRAP", None)
        self._counts = {"tcp": 0, "udp": 0, "unix": 0, "reached": 0}
        self._stop = threading.Event()
        self._listen()
        self._stack.callback(self._end_listeners)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def planted(self, turn: int) -> dict[str, Any]:
        """What a program gets on its input."""
        return {
            "token": self.token,
            "turn": turn,
            "scratch": list(workers.SCRATCH),
            "tcp": self._tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "abstract": f"abuse-{self.token}-",
            "socket": str(self.folder / "socket"),
            "sockets": [
                "/run/docker.sock",
                "/var/run/docker.sock",
                "/run/systemd/private",
                "/run/dbus/system_bus_socket",
            ],
            "free_port": self._free_port,
            "addresses": self._addresses,
            "files": [str(self.trap), os.path.realpath(__file__), str(Path.home() / ".bashrc")],
            "host": os.getpid(),
            "victim": self.victim.pid,
            "daemon_seconds": DAEMON_SECONDS,
        }

    def saw(self) -> dict[str, Any]:
        """What has reached the traps since the last time. What lies at their doors is taken in first: the threads that do so
        may have to wait for a busy machine."""
        until = time.monotonic() + SETTLING_SECONDS
        time.sleep(BEAT)
        while select.select(self._sockets, [], [], 0)[0] and time.monotonic() < until:
            time.sleep(BEAT)
        seen = dict(self._counts)
        self._counts.update(dict.fromkeys(self._counts, 0))
        return seen | {"victim_alive": self.victim.poll() is None, "secret": self.secret}

    def state(self) -> dict[str, str]:
        """What may not change, by name: files, switches, mounts, limits."""
        found = {}
        for name in WATCHED_FILES:
            with contextlib.suppress(OSError):
                found[f"file {name}"] = _fingerprint(Path(name))
        found["file of the trap"] = _fingerprint(self.trap)
        found["folder of the trap"] = ", ".join(sorted(os.listdir(self.folder)))
        for name in WATCHED_SWITCHES:
            with contextlib.suppress(OSError):
                found[f"/proc/sys/{name}"] = Path("/proc/sys", name).read_text()
        # Engines mount for their containers, in places of their own; those come and go with warm workers.
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            place = line.split(" ")[4]
            if place in WATCHED_FOLDERS or place.startswith(("/proc", "/sys")):
                found[f"mount {place}"] = found.get(f"mount {place}", "") + line.split(" - ")[1]
        found["clock"] = "as it was" if abs(time.time() - time.monotonic() - _BOOT) < 5 else "moved"
        return found

    def marked(self) -> list[str]:
        """Whatever carries the token on this machine: files, processes, sockets, mounts, keys."""
        found = []
        for folder in WATCHED_FOLDERS:
            with contextlib.suppress(OSError):
                found += [f"{folder}/{name}" for name in os.listdir(folder) if self.token in name]
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{name}/comm").read_text().startswith(self.token[:8]):
                    found.append(f"process {name}")
        for file in ("/proc/net/unix", "/proc/self/mountinfo", "/proc/keys"):
            with contextlib.suppress(OSError):
                for line in Path(file).read_text().splitlines():
                    if self.token in line and not self._own(line):
                        found.append(f"{file}: {line.strip()[-80:]}")
        key = int(self.token[:7], 16)
        for kind in ("shm", "sem", "msg"):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
                    if int(line.split()[0]) == key:
                        found.append(f"System V {kind}")
        return found

    def _own(self, line: str) -> bool:
        return f"abuse-{self.token}-" in line or str(self.folder) in line

    def _end_victim(self) -> None:
        self.victim.kill()
        self.victim.wait()

    def _listen(self) -> None:
        self._tcp, self._udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp.bind(("0.0.0.0", 0))
        self._udp.bind(("0.0.0.0", 0))
        with socket.socket() as free:
            free.bind(("0.0.0.0", 0))
            self._free_port = free.getsockname()[1]
        streams = [self._tcp]
        datagrams = [self._udp]
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            one = socket.socket(socket.AF_UNIX, kind)
            one.bind(f"\0abuse-{self.token}-{int(kind)}")
            (streams if kind == socket.SOCK_STREAM else datagrams).append(one)
        named = socket.socket(socket.AF_UNIX)
        named.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        streams.append(named)
        self._addresses = sorted({"127.0.0.1", *_own_addresses()})
        for one in streams:
            one.listen()
        self._sockets = [*streams, *datagrams]
        for one in self._sockets:
            one.settimeout(BEAT)
        jobs: list[tuple[Any, ...]] = [(self._accept, one) for one in streams]
        jobs += [(self._take, one) for one in datagrams]
        jobs.append((self._knock,))
        self._threads = [threading.Thread(target=job, args=rest, daemon=True) for job, *rest in jobs]
        for thread in self._threads:
            thread.start()

    def _end_listeners(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self, door: socket.socket) -> None:
        for _ in self._until_stopped():
            with contextlib.suppress(OSError):
                door.accept()[0].close()
                self._counts["tcp" if door.family == socket.AF_INET else "unix"] += 1

    def _take(self, door: socket.socket) -> None:
        for _ in self._until_stopped():
            with contextlib.suppress(OSError):
                if self.token.encode() in door.recv(4096):
                    self._counts["udp" if door.family == socket.AF_INET else "unix"] += 1

    def _knock(self) -> None:
        """Tries the port that a program may listen at, from outside."""
        for _ in self._until_stopped():
            time.sleep(BEAT)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._free_port), BEAT):
                self._counts["reached"] += 1

    def _until_stopped(self) -> Iterator[None]:
        while not self._stop.is_set():
            yield


_BOOT = time.time() - time.monotonic()


def _fingerprint(path: Path) -> str:
    entry = path.stat()
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]} {entry.st_mode:o} {entry.st_uid}"


def _own_addresses() -> list[str]:
    """The addresses of this machine's interfaces, as far as its name and a route out tell."""
    found = []
    with contextlib.suppress(OSError):
        found += [str(row[4][0]) for row in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))  # sends nothing: the kernel picks the address it would send from
        found.append(one.getsockname()[0])
    return found
