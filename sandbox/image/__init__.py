"""The image, or root file system, that programs run in: Debian's essential packages and those of the languages.

Belongs here: making it without any registry (mmdebstrap, from the machine's own apt sources), and importing it into an
engine. Does not belong here: which packages (`languages.toml`). The Dockerfile beside this file gives the same where
there is a registry.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from sandbox.errors import BackendUnavailable
from sandbox.languages import Language

APT_SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
_HOOKS = (
    'mkdir -p "$1/box" "$1/opt/packages"',
    'chmod 1777 "$1/tmp"',
    'find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +',  # nothing in there may raise anybody
)


def packages_of(table: Iterable[Language]) -> list[str]:
    """Debian packages that these languages need, sorted."""
    return sorted({package for language in table for package in language.packages})


def build_root(target: Path, table: Collection[Language], suite: str | None = None) -> None:
    """Makes a root file system for these languages: a tar where `target` ends in .tar, else a folder.

    `suite` is Debian's (default: this machine's). Raises BackendUnavailable that says what failed.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise BackendUnavailable("mmdebstrap is missing: apt-get install mmdebstrap (or build the Dockerfile)")
    command = [program, "--quiet", "--variant=essential", f"--include={','.join(packages_of(table))}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    command += [f"--customize-hook={hook}" for hook in (*_HOOKS, *_prepare_hooks(table))]
    command += [suite or _this_suite(), str(target), *(path for path in APT_SOURCES if _has_text(path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackendUnavailable(f"mmdebstrap failed: {done.stderr.strip()[-500:]}")


def import_root(tar: Path, tag: str, engine: str | None = None) -> str:
    """Imports a tar of `build_root` as an image of that tag. Returns its digest. Raises BackendUnavailable."""
    import docker
    import requests

    settings = docker.utils.kwargs_from_env() | ({"base_url": engine} if engine else {})
    repository, _, version = tag.partition(":")
    try:
        api = docker.APIClient(version="auto", timeout=600, **settings)
        api.import_image(str(tar), repository=repository, tag=version or "latest")
        digest: str = api.inspect_image(tag)["Id"]
        api.close()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise BackendUnavailable(f"the engine ({engine or 'DOCKER_HOST'}) took no image: {error}") from error
    return digest


def build_image(tag: str, table: Collection[Language], engine: str | None = None, suite: str | None = None) -> str:
    """`build_root` and `import_root` in one. Returns the digest."""
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "root.tar"
        build_root(tar, table, suite)
        return import_root(tar, tag, engine)


def prepare_lines(table: Iterable[Language]) -> list[str]:
    """A shell line a language that has something to prepare, for a shell inside the tree."""
    return [f"mkdir -p {one.prepared} && cd {one.prepared} && {one.prepare}" for one in table if one.prepare]


def _prepare_hooks(table: Iterable[Language]) -> list[str]:
    return [f'chroot "$1" /bin/sh -ec {shlex.quote(line)}' for line in prepare_lines(table)]


def _has_text(path: str) -> bool:
    try:
        return bool(Path(path).read_text().strip())
    except OSError:
        return False


def _this_suite() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise BackendUnavailable("/etc/os-release names no VERSION_CODENAME: give --suite")
