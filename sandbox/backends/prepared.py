"""What compilers find faster, made of this machine's own system and shown to rooms.

Belongs here: the folder on the host, making a language's part of it once. Does not belong here: what is made
(`languages.toml`), where rooms have it (`languages.PREPARED`), images, which have it from their making (`sandbox/image`).

Rooms have the folder from their start and see what is made in it later. It outlives the process: the next one finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

from sandbox.errors import BackendUnavailable
from sandbox.languages import Language

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


class Prepared:
    """The folder of this user and of this system (`image`, its digest). Raises BackendUnavailable where another user has it."""

    def __init__(self, image: str) -> None:
        name = f"sandbox-prepared-{os.geteuid()}-{hashlib.sha256(image.encode()).hexdigest()[:12]}"
        self.folder = Path(tempfile.gettempdir()) / name
        self._lock = threading.Lock()
        self._made: set[str] = set()
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o755)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise BackendUnavailable(f"{self.folder} is another user's, or open to others: remove it, or set TMPDIR")
        self.folder.chmod(0o755)  # whatever the umask

    def make(self, language: Language) -> None:
        """What `language.prepare` makes, where it is not there yet. Raises BackendUnavailable with the shell's last words."""
        if not language.prepare or language.prepared in self._made:
            return
        with self._lock:
            target = self.folder / Path(language.prepared).name
            if not target.is_dir():
                self._make(language, target)
            self._made.add(language.prepared)

    def _make(self, language: Language, target: Path) -> None:
        made = Path(tempfile.mkdtemp(prefix=f"sandbox-{os.getpid()}-"))  # swept where this process is killed
        try:
            made.chmod(0o755)
            command = ["/bin/sh", "-ec", language.prepare]
            done = subprocess.run(
                command, cwd=made, env=ENVIRONMENT, umask=0o022, capture_output=True, text=True, check=False
            )
            if done.returncode:
                said = (done.stderr.strip() or f"exit code {done.returncode}")[-500:]
                raise BackendUnavailable(f"language {language.name} can't be prepared: {said}")
            try:
                made.rename(target)
            except OSError as error:
                if not target.is_dir():  # else another process was faster: what it made is the same
                    raise BackendUnavailable(f"language {language.name} can't be prepared: {error}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
