"""How fast the sandbox is, beside one container a run and beside bare subprocesses, in the same call.

Belongs here: the measurement. Does not belong here: the command line (`command.py`). All contenders do the same job,
from the source to the last output, one after the other, in turns submission by submission, so that a busy machine is
busy for all of them. Bare subprocesses are a measure of what isolation costs, never a way to run anything untrusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import BackendUnavailable, SandboxError
from sandbox.runner import Job, Sandbox
from sandbox.verdicts import Limits, Outcome

PEER = "one container a run through docker-py"
LANGUAGES = ("python", "cpp")
LIMITS = Limits(cpu_seconds=5, wall_seconds=5, memory_mb=256)
OPEN_SECONDS = 60.0


@dataclass(frozen=True)
class Size:
    """How much is measured. `peer_inputs` of each submission's inputs are run in containers of their own."""

    submissions: int = 10
    inputs: int = 50
    peer_inputs: int = 50
    arrivals: int = 40
    queued: int = 10_000
    finished: int = 10_000


QUICK = Size(submissions=2, inputs=10, peer_inputs=2, arrivals=5, queued=10_000, finished=100)


def source(language: str, number: int) -> str:
    """A submission: reads numbers, sorts them, prints a checksum."""
    if language == "python":
        return (
            "numbers = sorted(int(word) for word in input().split())\n"
            f"print(sum(value * (index + {number}) for index, value in enumerate(numbers)) % 1000003)\n"
        )
    return (
        "#include <algorithm>\n#include <iostream>\n#include <vector>\nint main() {\n"
        "  std::vector<long long> v; long long x, s = 0;\n  while (std::cin >> x) v.push_back(x);\n"
        "  std::sort(v.begin(), v.end());\n"
        f"  for (size_t i = 0; i < v.size(); i++) s = (s + v[i] * (long long)(i + {number})) % 1000003;\n"
        "  std::cout << s << std::endl;\n}\n"
    )


def numbers(number: int) -> bytes:
    return " ".join(str((number * 7919 + index * 104729) % 10007) for index in range(100)).encode() + b"\n"


def expected(number: int, data: bytes) -> bytes:
    values = sorted(int(word) for word in data.split())
    return b"%d\n" % (sum(value * (index + number) for index, value in enumerate(values)) % 1000003)


def measure(
    open_backend: Callable[[str], Sandbox],
    backends: Sequence[str],
    size: Size,
    engine: str | None,
    image: str | None,
    command: str,
    probe: Sequence[str],
) -> dict[str, Any]:
    """The figures, as `{"name", "figures", "peer", "ratio", "machine", "command"}`.

    `open_backend` gives a sandbox of a name; one that is unavailable is named with its reason and left out. `probe` is
    the command that prints the peak memory of a host process (`queue_memory`), given backend, queued, finished. Raises
    SandboxError where no backend works or a program's output is wrong: a figure of wrong runs is none.
    """
    figures: dict[str, Any] = {"submissions": size.submissions, "inputs": size.inputs, "peer_inputs": size.peer_inputs}
    with contextlib.ExitStack() as stack:
        sandboxes: dict[str, Sandbox] = {}
        for name in backends:
            try:
                sandboxes[name] = stack.enter_context(open_backend(name))
            except BackendUnavailable as error:
                figures[name] = {"unavailable": str(error)}
        if not sandboxes:
            raise BackendUnavailable("; ".join(f"{name}: {figures[name]['unavailable']}" for name in backends))
        containers = containers_of(engine, image)
        if isinstance(containers, str):
            figures["container_a_run"] = {"unavailable": containers}
        for language in LANGUAGES:
            _measure_runs(language, sandboxes, None if isinstance(containers, str) else containers, size, figures)
        for name, sandbox in sandboxes.items():
            figures[name] |= _latency(sandbox, size.arrivals)
    for name in sandboxes:
        asked = [*probe, name, str(size.queued), str(size.finished)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SandboxError(
                f"the memory of a host process on {name} cannot be measured: {done.stderr.strip()[-300:]}"
            )
        figures[name] |= json.loads(done.stdout)
    ratios = [figures[name][language].get("ratio") for name in sandboxes for language in LANGUAGES]
    known = [ratio for ratio in ratios if ratio is not None]
    return {
        "name": "sandbox",
        "figures": figures,
        "peer": PEER if known else None,
        "ratio": min(known) if known else None,
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        "command": command,
    }


def queue_memory(sandbox: Sandbox, queued: int, finished: int) -> dict[str, Any]:
    """Queue `queued` runs, take the first `finished` verdicts, and say what this process's memory peaked at, in MB."""
    inputs = [numbers(number) for number in range(50)]
    jobs = [Job(source("python", number), "python", list(inputs), LIMITS) for number in range(queued // len(inputs))]
    began = time.monotonic()
    verdicts = sandbox.run_many(jobs)
    taken = 0
    for _, verdict in verdicts:
        if verdict.outcome != Outcome.OK:
            raise SandboxError(f"a queued run ended as {verdict.outcome}: {verdict.detail}")
        taken += 1
        if taken >= finished:
            break
    verdicts.close()  # type: ignore[attr-defined]
    return {
        "queued_runs": queued,
        "queued_runs_finished": taken,
        "queued_runs_per_second": round(taken / (time.monotonic() - began), 1),
        "peak_memory_mb": _peak_memory_mb(),
    }


def _measure_runs(
    language: str, sandboxes: dict[str, Sandbox], containers: Containers | None, size: Size, figures: dict[str, Any]
) -> None:
    seconds = dict.fromkeys((*sandboxes, "container_a_run", "subprocess_a_run"), 0.0)
    inputs = [numbers(number) for number in range(size.inputs)]
    for sandbox in sandboxes.values():
        sandbox.pool.wait_full(OPEN_SECONDS)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(size.submissions):
            folder = Path(scratch, f"{language}-{number}")
            folder.mkdir(mode=0o755)
            text = source(language, number)
            wanted = [expected(number, data) for data in inputs]
            for name, sandbox in sandboxes.items():
                began = time.monotonic()
                got = [verdict.stdout for verdict in sandbox.run(text, language, inputs, LIMITS)]
                seconds[name] += time.monotonic() - began
                _check(name, got, wanted)
            began = time.monotonic()
            program = prepared(folder, language, text)
            preparing = time.monotonic() - began
            got = [subprocess.run(program, input=data, capture_output=True, check=True).stdout for data in inputs]
            seconds["subprocess_a_run"] += time.monotonic() - began
            _check("subprocess_a_run", got, wanted)
            if containers is not None:
                began = time.monotonic()
                got = [containers.run(folder, language, data) for data in inputs[: size.peer_inputs]]
                # Preparing once a submission stands for all of its inputs.
                share = size.peer_inputs / size.inputs
                seconds["container_a_run"] += time.monotonic() - began + preparing * share
                _check("container_a_run", got, wanted[: size.peer_inputs])
    runs = size.submissions * size.inputs
    rates = {name: runs / seconds[name] for name in sandboxes} | {
        "subprocess_a_run": runs / seconds["subprocess_a_run"]
    }
    if containers is not None:
        rates["container_a_run"] = size.submissions * size.peer_inputs / seconds["container_a_run"]
    for name, rate in rates.items():
        entry: dict[str, Any] = {"runs_per_second": round(rate, 1), "seconds": round(seconds[name], 2)}
        if name in sandboxes:
            entry["ratio"] = round(rate / rates["container_a_run"], 2) if "container_a_run" in rates else None
            entry["plain_ratio"] = round(rate / rates["subprocess_a_run"], 2)
        figures.setdefault(name, {})[language] = entry


def _check(name: str, got: list[bytes], wanted: list[bytes]) -> None:
    if got != wanted:
        wrong = next(at for at in range(len(wanted)) if got[at : at + 1] != wanted[at : at + 1])
        raise SandboxError(f"{name}: output {wrong} is {got[wrong : wrong + 1]}, not {wanted[wrong]!r}")


def prepared(folder: Path, language: str, text: str) -> list[str]:
    """The command that runs a submission as a bare process, compiled where it must be."""
    if language == "python":
        (folder / "main.py").write_text(text)
        return ["/usr/bin/python3", str(folder / "main.py")]
    (folder / "main.cpp").write_text(text)
    target = str(folder / "program")
    subprocess.run(["g++", "-O2", "-std=gnu++20", "-o", target, str(folder / "main.cpp")], check=True)
    return [target]


class Containers:
    """The peer: for each run a new container, as docker-py's own door makes one."""

    def __init__(self, client: Any, image: str) -> None:
        self._client, self._image = client, image

    def run(self, folder: Path, language: str, data: bytes) -> bytes:
        (folder / "input").write_bytes(data)
        program = "python3 /job/main.py" if language == "python" else "/job/program"
        return self._client.containers.run(
            self._image,
            ["/bin/sh", "-c", f"exec {program} < /job/input"],
            volumes={str(folder): {"bind": "/job", "mode": "ro"}},
            network_mode="none",
            mem_limit="512m",
            remove=True,
        )


def containers_of(engine: str | None, image: str | None) -> Containers | str:
    """The peer, or why there is none."""
    import docker
    import requests

    from sandbox.backends.docker import DEFAULT_IMAGE

    try:
        client = docker.DockerClient(base_url=engine) if engine else docker.from_env()
        client.images.get(image or DEFAULT_IMAGE)
    except (docker.errors.DockerException, requests.RequestException) as error:
        return f"no engine or image: {error}"
    return Containers(client, image or DEFAULT_IMAGE)


def _latency(sandbox: Sandbox, arrivals: int) -> dict[str, Any]:
    """Milliseconds from asking to the first verdict, with arrivals at half of the stated refill rate."""
    sandbox.pool.wait_full(OPEN_SECONDS)
    rate = sandbox.pool.refill_rate
    took = []
    for number in range(arrivals):
        due = time.monotonic() + 2 / rate
        began = time.perf_counter()
        verdicts = sandbox.run(source("python", number), "python", _one(number), LIMITS)
        next(verdicts)
        took.append((time.perf_counter() - began) * 1000)
        verdicts.close()  # type: ignore[attr-defined]
        time.sleep(max(0.0, due - time.monotonic()))
    return {
        "refill_rate": round(rate, 2),
        "arrivals_per_second": round(rate / 2, 2),
        "first_verdict_ms": {
            "median": round(statistics.median(took), 2),
            "p90": round(sorted(took)[int(0.9 * (len(took) - 1))], 2),
        },
    }


def _one(number: int) -> Iterator[bytes]:
    yield numbers(number)


def _peak_memory_mb() -> float:
    """This process's own peak. `ru_maxrss` would not do: a child starts with that of the process that forked it."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)


if __name__ == "__main__":  # the probe that `measure` starts: settings (JSON), backend, queued, finished
    import sandbox as library

    given, backend, queued, finished = sys.argv[1:]
    settings = json.loads(given)
    folders = {name: Path(settings[name]) for name in ("root", "packages") if settings.get(name)}
    with library.open(backend, **settings | folders) as opened:
        print(json.dumps(queue_memory(opened, int(queued), int(finished))))
