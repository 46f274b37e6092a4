"""What a room of bubblewrap's has for a root file system: the read-only system, and a folder of our own files.

Belongs here: which folders of the host are shown where, and a digest of them. Does not belong here: the room's life.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from sandbox.errors import BackendUnavailable


def digest(root: Path) -> str:
    """What programs run in: the versions of all packages of the tree; without a package database, its files."""
    status = root / "var/lib/dpkg/status"
    found = hashlib.sha256()
    if status.is_file():
        wanted = ("Package: ", "Version: ", "Architecture: ")
        lines = [line for line in status.read_text(errors="replace").splitlines() if line.startswith(wanted)]
        found.update("\n".join(lines).encode())
    else:
        for folder, folders, files in os.walk(root / "usr"):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                entry = os.lstat(path)
                found.update(f"{path}\0{entry.st_size}\0{entry.st_mtime_ns}\n".encode())
    return f"sha256:{found.hexdigest()}"


def make_stage(program: bytes, root: Path) -> Path:
    """A folder of files that every room sees: the entry, the filter, a small /etc."""
    stage = Path(tempfile.mkdtemp(prefix=f"sandbox-{os.getpid()}-"))
    stage.chmod(0o755)
    for place in stage.parents:
        if not place.stat().st_mode & 0o001:
            shutil.rmtree(stage)
            raise BackendUnavailable(
                f"TMPDIR {stage.parent} cannot be read by an unprivileged user: set another TMPDIR"
            )
    etc = stage / "etc"
    (etc / "alternatives").mkdir(parents=True)
    texts = {
        "entry.py": Path(__file__).with_name("bubblewrap_entry.py").read_bytes(),
        "filter": program,
        "etc/passwd": b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
        "etc/hosts": b"127.0.0.1 localhost sandbox\n",
        "etc/ld.so.cache": b"",
    }
    for name, text in texts.items():
        (stage / name).write_bytes(text)
    for folder in (etc, etc / "alternatives"):
        folder.chmod(0o755)
    for name in texts:
        (stage / name).chmod(0o644)
    return stage


def sweep() -> None:
    """Remove the folders of this user's processes that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob("sandbox-[0-9]*-*"):
        number = folder.name.split("-")[1]
        with contextlib.suppress(OSError):
            if number.isdigit() and not Path("/proc", number).exists() and folder.lstat().st_uid == os.geteuid():
                shutil.rmtree(folder)


def tree(root: Path, stage: Path) -> list[str]:
    """The read-only system: /usr and what leads into it, and an /etc that tells nothing of the machine."""
    words = ["--ro-bind", str(root / "usr"), "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = root / name
        if place.is_symlink():
            words += ["--symlink", os.readlink(place), f"/{name}"]
        elif place.is_dir():
            words += ["--ro-bind", str(place), f"/{name}"]
    if (root / "usr/local").is_dir():
        words += ["--tmpfs", "/usr/local", "--remount-ro", "/usr/local"]
    words += ["--ro-bind", str(stage / "etc"), "/etc"]
    for name in ("alternatives", "ld.so.cache"):
        if (root / "etc" / name).exists():
            words += ["--ro-bind", str(root / "etc" / name), f"/etc/{name}"]
    return words
