"""sandbox: runs untrusted programs, and knows nothing of the pipeline.

A library of its own: the standard library and docker-py are all it needs. The map, from the door down:

    command        the door of the terminal: doctor, run, abuse, bench, equivalence (a module or folder each)
    __init__       the door: `open()` gives a Sandbox, `run()` runs one submission
    runner         submissions in, verdicts out; retries on a fresh worker
    pool           warm workers, each for one submission
    backends       what makes workers: docker, bubblewrap. There is no third, unsafe one
    workers        what a worker and a backend are, and how one is greeted
    languages      the table of languages (languages.toml)
    verdicts, frames, errors: what all of them use
    image          makes the image, or root file system, that programs run in

    agent, watch, zygote, meter, cleaning: the programs inside a worker. They travel there as text (`bundle`) and need
    nothing but the worker's own Python
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.errors import BackendUnavailable, SandboxError, SandboxInputError
from sandbox.languages import Language
from sandbox.runner import Job, Sandbox, checked_program
from sandbox.verdicts import Limits, Outcome, Verdict, WorkerSize
from sandbox.workers import Backend

BACKENDS = ("docker", "bubblewrap")

__all__ = [
    "BACKENDS",
    "BackendUnavailable",
    "Job",
    "Limits",
    "Outcome",
    "Sandbox",
    "SandboxError",
    "SandboxInputError",
    "Verdict",
    "WorkerSize",
    "checked_program",
    "make_backend",
    "open",
    "run",
]


def make_backend(
    name: str = "auto",
    *,
    engine: str | None = None,
    image: str | None = None,
    runtime: str | None = None,
    root: Path | None = None,
    allow_no_cgroup: bool = False,
    packages: Path | None = None,
    size: WorkerSize | None = None,
) -> Backend:
    """The backend of that name; `auto` is Docker, or bubblewrap where no engine can be used.

    `engine`, `image` and `runtime` are Docker's, `root` (a root file system) and `allow_no_cgroup` are bubblewrap's.
    `packages` is a folder of Python packages, read-only in every worker. Raises BackendUnavailable that says what to
    install or set: never is a program run without a sandbox.
    """
    if name not in ("auto", *BACKENDS):
        raise SandboxInputError(f"backend {name!r} is unknown: one of auto, {', '.join(BACKENDS)}")
    refusals = []
    if name in ("auto", "docker"):
        from sandbox.backends.docker import DEFAULT_IMAGE, DockerBackend  # docker-py: only where it is wanted

        try:
            return DockerBackend(
                base_url=engine, image=image or DEFAULT_IMAGE, runtime=runtime, size=size, packages=packages
            )
        except BackendUnavailable as error:
            if name == "docker":
                raise
            refusals.append(f"docker: {error}")
    from sandbox.backends.bubblewrap import BubblewrapBackend

    try:
        return BubblewrapBackend(size, packages=packages, root=root, allow_no_cgroup=allow_no_cgroup)
    except BackendUnavailable as error:
        if name == "bubblewrap":
            raise
        raise BackendUnavailable("; ".join([*refusals, f"bubblewrap: {error}"])) from error


def open(
    backend: str = "auto",
    *,
    pool_size: int = 2,
    starters: int = 1,
    table: Mapping[str, Language] | None = None,
    patience: float = 60.0,
    **settings: Any,
) -> Sandbox:
    """A Sandbox, for use with `with`. `settings` are those of `make_backend`, the others those of `Sandbox`."""
    return Sandbox(
        make_backend(backend, **settings), pool_size=pool_size, starters=starters, table=table, patience=patience
    )


def run(
    program: str | bytes,
    language: str,
    inputs: Iterable[bytes],
    limits: Limits | None = None,
    *,
    backend: str = "auto",
    **settings: Any,
) -> Iterator[Verdict]:
    """One submission in a sandbox of its own: one verdict an input, as they come. For more than one, use `open`."""
    with open(backend, pool_size=1, **settings) as sandbox:
        yield from sandbox.run(program, language, inputs, limits)
