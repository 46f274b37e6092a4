"""The Docker backend: a worker is a container, spoken to over one attached socket.

Belongs here: containers, the engine (local or remote), the demultiplexing of an attached stream. Does not belong here:
frames, pools, verdicts. docker-py is imported here and nowhere else.

A container has no network, a read-only root, no capability but SETUID and SETGID, no_new_privs, a seccomp profile
narrower than the engine's own, limits on memory (no swap), pids and cpu, and three tmpfs of stated size and inodes. It
removes itself when its stdin ends, so a host that dies leaves nothing but, at most, containers that it had not started yet:
the next backend removes those.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount, Ulimit

from sandbox import workers
from sandbox.backends import seccomp
from sandbox.backends.docker_remains import Remains
from sandbox.errors import BackendUnavailable, WorkerGone
from sandbox.languages import Language
from sandbox.verdicts import WorkerSize

DEFAULT_IMAGE = "kimi-sandbox:latest"
LABEL = "sandbox.backend"
"""Each container carries it; its value is the instance of the backend that made it."""

_HEADER = struct.Struct(">BxxxL")  # the engine's own framing: stream (1 stdout, 2 stderr), length
_FIRST_UID, _UIDS = 100_000, 50_000
_SEND_SECONDS = 120.0
_CLOSING_SECONDS = 15.0
_ABANDONED_SECONDS = 60.0
_REMEMBERED = 1000  # buried containers, at most, whose remains have yet to be looked for


class DockerBackend:
    """Workers as containers.

    `base_url` is the engine (`unix:///run/docker.sock`, `tcp://host:2376`); None takes DOCKER_HOST, else the usual
    socket. `runtime` is one that the engine knows (runc, crun, runsc); None takes its default. `packages` is a folder
    of Python packages on the engine's machine. Raises BackendUnavailable that names the setting and the fix.
    """

    name = "docker"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        image: str = DEFAULT_IMAGE,
        runtime: str | None = None,
        size: WorkerSize | None = None,
        packages: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.size = size or WorkerSize()
        self.instance = uuid.uuid4().hex
        self._base_url, self._timeout = base_url, timeout
        self._runtime, self._packages = runtime, packages
        self._threads = threading.local()
        self._clients: list[docker.APIClient] = []
        self._lock = threading.Lock()
        self._live: dict[str, DockerWorker] = {}
        self._coming: set[str] = set()  # names of containers that are being made
        self._graves: set[str] = set()  # ids and names of containers to remove
        self._buried: deque[str] = deque()
        self._next_uid = 0
        try:
            information = self._api().info()
            self.image: str = self._api().inspect_image(image)["Id"]
        except ImageNotFound as error:
            raise BackendUnavailable(
                f"image {image} is not in the engine: build it with `python -m sandbox.image --tag {image}`"
            ) from error
        except (DockerException, requests.RequestException) as error:
            raise BackendUnavailable(self._why(error)) from error
        for limit in ("MemoryLimit", "PidsLimit"):
            if not information.get(limit):  # it would take the limit, warn, and leave containers without one
                raise BackendUnavailable(
                    f"the engine at {self._engine()} can't keep {limit}: give its machine that control group "
                    "(rootless: delegate it), or use backend bubblewrap"
                )
        if runtime is not None and runtime not in information["Runtimes"]:
            known = ", ".join(sorted(information["Runtimes"]))
            raise BackendUnavailable(f"runtime {runtime!r} is unknown to the engine: it has {known}")
        self.host_memory_mb = int(information["MemTotal"]) // 2**20
        if packages is not None and self._is_local():
            if not packages.is_dir():
                raise BackendUnavailable(f"packages {packages} is no folder")
            if packages.stat().st_mode & 0o005 != 0o005:
                raise BackendUnavailable(f"packages {packages} can't be read by programs: chmod o+rx it")
        self._remove_abandoned()

    def prepare(self, language: Language) -> None:
        """The image has it, where it was made with this table."""

    def start(self) -> DockerWorker:
        """A container whose agent runs. Raises BackendUnavailable when the engine can't make one."""
        self._sweep()
        # named beforehand: of a container whose making an engine died over, nothing else is known
        api, name, identity = self._api(), f"sandbox-{uuid.uuid4().hex}", ""
        with self._lock:
            self._coming.add(name)
        try:
            uid = self._uid()
            identity = api.create_container(
                self.image,
                name=name,
                entrypoint=list(workers.AGENT_COMMAND),
                user="0:0",
                hostname="sandbox",
                working_dir="/",
                stdin_open=True,
                environment={},
                labels={LABEL: self.instance},
                host_config=self._host_config(api),
            )["Id"]
            # one client is enough: the engine ends stdin when the attached stream goes
            attached = api.attach_socket(identity, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            worker = DockerWorker(self, identity, uid, attached)
            with self._lock:
                self._live[identity] = worker
            api.start(identity)
        except (DockerException, requests.RequestException, OSError) as error:
            self.bury(identity or name)
            raise BackendUnavailable(self._why(error)) from error
        finally:
            with self._lock:
                self._coming.discard(name)
        return worker

    def bury(self, identity: str) -> None:
        """Removes a container, given by its id or name. Where the engine doesn't answer, it is tried again at the next
        start and at close; what an engine that died left of it outside is cleared at close."""
        with self._lock:
            self._live.pop(identity, None)
            self._graves.add(identity)
            self._buried.append(identity)
            full = len(self._buried) >= _REMEMBERED
            old = [self._buried.popleft() for _ in range(len(self._buried) // 2)] if full else []
        with contextlib.suppress(DockerException, requests.RequestException):
            self._remove(identity)
        self._clear_remains(old)

    def close(self) -> None:
        """Ends all workers, waits until the engine has forgotten them."""
        with self._lock:
            live = list(self._live.values())
        for worker in live:
            worker.kill()
        until = time.monotonic() + _CLOSING_SECONDS
        with contextlib.suppress(BackendUnavailable):  # an engine that is gone removes them when it comes back
            while (left := self._left_in_engine()) and time.monotonic() < until:
                with self._lock:
                    self._graves.update(left)
                self._sweep()
                time.sleep(0.05)
        with self._lock:
            buried = list(self._buried)
        self._clear_remains(buried)
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()
        self._threads = threading.local()

    def leftovers(self) -> list[str]:
        """Containers of this instance that belong to no worker, and what an engine that died left of others."""
        left = [f"container {identity}" for identity in self._left_in_engine()]
        with self._lock:
            buried = Remains(self._buried)
        return left + (buried.found() if self._is_local() else [])

    def _clear_remains(self, buried: list[str]) -> None:
        if buried and self._is_local():
            Remains(buried).clear()

    def _left_in_engine(self) -> list[str]:
        """Ids of containers of this instance that belong to no worker, live or being made. Raises BackendUnavailable."""
        try:
            rows = list(containers(self._api(), f"{LABEL}={self.instance}"))
        except (DockerException, requests.RequestException) as error:
            raise BackendUnavailable(self._why(error)) from error
        with self._lock:
            known = self._coming.union(self._live)
        return [row["Id"] for row in rows if known.isdisjoint((row["Id"], *(name[1:] for name in row["Names"])))]

    def _remove_abandoned(self) -> None:
        """Containers of any instance that were made and never started: a host that died in between left them, and only one
        that ran removes itself."""
        with contextlib.suppress(DockerException, requests.RequestException):
            for row in self._api().containers(all=True, filters={"label": LABEL, "status": "created"}):
                if time.time() - row["Created"] > _ABANDONED_SECONDS:
                    self._graves.add(row["Id"])
        self._sweep()

    def _host_config(self, api: docker.APIClient) -> dict[str, Any]:
        size = self.size
        memory = workers.memory_budget_mb(size) << 20
        place = f"rw,nosuid,nodev,size={size.disk_mb}m,nr_inodes={size.files + 1}"
        config: dict[str, Any] = api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID"],
            security_opt=["no-new-privileges", f"seccomp={seccomp.engine_profile()}"],
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=workers.pids_budget(size),
            nano_cpus=int(size.cpus * 1e9),
            tmpfs={
                **dict.fromkeys(workers.SCRATCH, f"{place},noexec,mode=1777"),
                workers.BOX: f"{place},exec,mode=0755",
            },
            ulimits=[
                Ulimit(name="stack", soft=workers.STACK_BYTES, hard=workers.STACK_BYTES),
                Ulimit(name="core", soft=0, hard=0),
            ],
            log_config=LogConfig(type="none"),
            ipc_mode="private",
            auto_remove=True,
            runtime=self._runtime,
            mounts=[Mount(workers.PACKAGES, str(self._packages), type="bind", read_only=True)]
            if self._packages
            else [],
        )
        return config

    def _uid(self) -> int:
        """A uid for programs that no live worker of this backend has: the kernel counts some limits by uid."""
        with self._lock:
            used = {worker.test_uid for worker in self._live.values()}
            offset = int(self.instance[:8], 16)
            while True:
                self._next_uid += 1
                uid = _FIRST_UID + (offset + self._next_uid) % _UIDS
                if uid not in used:
                    return uid

    def _api(self) -> docker.APIClient:
        """This thread's client: docker-py promises nothing on sharing one."""
        client = getattr(self._threads, "client", None)
        if client is None:
            if self._base_url is None:
                settings = docker.utils.kwargs_from_env()
            else:
                settings = {**docker.utils.kwargs_from_env(), "base_url": self._base_url}
            client = docker.APIClient(version="auto", timeout=self._timeout, **settings)
            with self._lock:
                self._clients.append(client)
            self._threads.client = client
        return client

    def _sweep(self) -> None:
        with self._lock:
            graves = list(self._graves)
        for identity in graves:
            with contextlib.suppress(DockerException, requests.RequestException):
                self._remove(identity)

    def _remove(self, identity: str) -> None:
        """Removes a container and waits until it is gone; it may be on its own way already."""
        api, until = self._api(), time.monotonic() + 15
        while True:
            try:
                api.remove_container(identity, force=True, v=True)
            except NotFound:
                break
            except APIError as error:
                if error.status_code != 409 or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        with self._lock:
            self._graves.discard(identity)

    def _engine(self) -> str:
        return self._base_url or docker.utils.kwargs_from_env().get("base_url") or "unix:///var/run/docker.sock"

    def _is_local(self) -> bool:
        """Whether the engine's files are this machine's."""
        return not self._engine().startswith(("tcp:", "http:", "https:", "ssh:"))

    def _why(self, error: Exception) -> str:
        engine, text = self._engine(), str(error)
        setting = "engine" if self._base_url else "DOCKER_HOST"
        if "PermissionError" in text or "Permission denied" in text:
            return f"no permission on the engine at {engine}: join the group of its socket, or set {setting} to another"
        if "FileNotFoundError" in text or "Connection refused" in text or "ConnectionRefused" in text:
            return f"no engine answers at {engine}: start one (deploy/engine.sh), or set {setting} to where it listens"
        return f"the engine at {engine} ({setting}): {text}"


def containers(api: docker.APIClient, label: str) -> Iterator[dict[str, Any]]:
    """The engine's rows of containers with a label, running or not, without those that it lists and does not have: one that was
    killed in the middle may come back with a dead one in its list, and say that there is no such container when it is asked for
    it."""
    for row in api.containers(all=True, filters={"label": label}):
        if row["State"] == "dead":
            try:
                api.inspect_container(row["Id"])
            except NotFound:
                continue
        yield row


class DockerWorker:
    """A container and the socket attached to its agent."""

    def __init__(self, backend: DockerBackend, identity: str, test_uid: int, attached: Any) -> None:
        self.identity = identity[:12]
        self.test_uid = test_uid
        self._backend, self._id = backend, identity
        self._attached = attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._socket.settimeout(_SEND_SECONDS)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._buffer = bytearray()
        self._complaint = b""
        self._killed = threading.Lock()

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise WorkerGone(self._last_words(f"sending failed ({error})")) from error

    def receive(self, timeout: float) -> bytes:
        until = time.monotonic() + timeout
        while True:
            try:
                ready = self._poll.poll(max(0.0, until - time.monotonic()) * 1000)
                data = self._socket.recv(1 << 18) if ready else None
            except (OSError, ValueError) as error:
                raise WorkerGone(self._last_words(f"receiving failed ({error})")) from error
            if data is None:
                return b""
            if not data:
                raise WorkerGone(self._last_words("its stream ended"))
            self._buffer += data
            if out := self._split():
                return out

    def kill(self) -> None:
        if not self._killed.acquire(blocking=False):
            return
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._attached.close()
        with contextlib.suppress(OSError):
            self._socket.close()
        self._backend.bury(self._id)

    def _split(self) -> bytes:
        """What has come of the agent's stdout; its stderr is kept for a message."""
        out = bytearray()
        while len(self._buffer) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            piece = bytes(memoryview(self._buffer)[_HEADER.size : end])
            if stream == 1:
                out += piece
            else:
                self._complaint = (self._complaint + piece)[-2000:]
            del self._buffer[:end]
        return bytes(out)

    def _last_words(self, what: str) -> str:
        said = self._complaint.decode(errors="replace").strip()
        return f"container {self.identity} is gone: {what}" + (f"; the agent said: {said}" if said else "")
