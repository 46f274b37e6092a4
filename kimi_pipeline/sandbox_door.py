"""The pipeline's way to the sandbox: a profile's settings handed over, its errors turned into ours.

Belongs here: the handing over. Does not belong here: anything of the sandbox's own (`sandbox/`), or what a stage makes
of verdicts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.profiles.profile import Sandbox as Settings

if TYPE_CHECKING:
    from sandbox import Sandbox

BACKENDS = ("docker", "bubblewrap")
_FOLDERS = ("root", "packages")


def settings(section: Settings) -> dict[str, Any]:
    """A profile's `sandbox` section as arguments of `sandbox.make_backend`, but for the backend's name."""
    values = section.model_dump(exclude={"backend", "pool_size"})
    return values | {name: Path(values[name]).expanduser().resolve() for name in _FOLDERS if values[name]}


@contextlib.contextmanager
def open_sandbox(section: Settings) -> Iterator[Sandbox]:
    """The sandbox of a profile. Raises UserError, with what to install or to set, where no backend works."""
    import sandbox

    try:
        opened = sandbox.open(section.backend, pool_size=section.pool_size, **settings(section))
    except sandbox.SandboxError as error:
        raise UserError(f"sandbox: {error}") from error
    with opened:
        yield opened


def runs_in(section: Settings) -> str:
    """What programs of this profile run in here, as a digest; `none` where no backend works. Starts no worker."""
    import sandbox

    try:
        backend = sandbox.make_backend(section.backend, **settings(section))
    except sandbox.SandboxError:
        return "none"
    backend.close()
    return backend.image


def command(arguments: Sequence[str]) -> int:
    """`kimi-pipeline sandbox ...`: the sandbox's own commands, with the profile's settings as defaults."""
    from sandbox.command import main

    section = load_profile().sandbox
    defaults = settings(section) | {"backend": section.backend, "pool_size": section.pool_size}
    return main(arguments, program="kimi-pipeline sandbox", settings=defaults)
