"""Peers: the libraries that a bench holds ours against, each in a venv of its own.

Belongs here: making such a venv and finding its Python. Does not belong here: what a peer runs (`benchmarks/`). Nothing
of the project imports a peer, and a peer's venv has nothing of the project.

A peer is a file `deploy/peers/NAME.txt` of pinned requirements; its venv lies in `$KIMI_HOME/bench/peers/NAME`. A peer with
torch shares the project's own pins (`deploy/constraints.txt`), so that the same kernels run on both sides; one without it
may need other versions than the project has.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

REQUIREMENTS = CHECKOUT / "deploy" / "peers"
CONSTRAINTS = CHECKOUT / "deploy" / "constraints.txt"
BENCHMARKS = CHECKOUT / "benchmarks"
MARK = ".made"
CPU_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
QUIET = ("--quiet", "--disable-pip-version-check", "--progress-bar", "off")


def peer_python(home: Home, name: str, *, with_torch: bool = True) -> Path:
    """The Python of a peer's venv, which is made where it is missing or its requirements have changed.

    `with_torch`: the peer needs torch, in the build that the project itself has.

    Raises UserError where this is no checkout (the wheel has no `deploy/`) and where pip can't install the peer.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    if not requirements.is_file():
        raise UserError(f"bench: {requirements} is missing: run from a checkout of the project")
    folder = home.root / "bench" / "peers" / name
    python, mark = folder / "bin" / "python", folder / MARK
    torch = [f"torch=={metadata.version('torch')}"] if with_torch else []
    pins = [CONSTRAINTS] if with_torch else []
    stamp = hashlib.sha256(
        b"".join([*map(str.encode, torch), *(each.read_bytes() for each in (requirements, *pins))])
    ).hexdigest()
    if mark.is_file() and mark.read_text() == stamp:
        return python
    print(f"bench: making the venv of {name} in {folder}", file=sys.stderr, flush=True)
    mark.unlink(missing_ok=True)
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", *QUIET]
    dry = [*install, "--dry-run", "--no-deps", *torch]
    found = not torch or subprocess.run(dry, capture_output=True, check=False).returncode == 0
    index = [] if found else ["--extra-index-url", CPU_INDEX]
    wanted = ["-r", str(requirements), *(f"-c{pin}" for pin in pins), *torch, *index]
    done = subprocess.run([*install, *wanted], stdout=sys.stderr, check=False)  # standard output is the bench's own
    if done.returncode:
        raise UserError(f"bench: pip could not install the peer {name}: its reason is above")
    mark.write_text(stamp)
    return python
