"""Dagster's own folder under the home: its settings file, its event store, its logs.

Belongs here: preparing that folder from `deploy/dagster.yaml`, and opening the instance in it. Does not belong here:
what the settings mean (the comments of that file).
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

TEMPLATE = CHECKOUT / "deploy" / "dagster.yaml"
MANAGED = "# Managed by kimi_pipeline"
"""First line of a settings file that follows the template. Remove the line and the file is yours."""


def prepare_instance(home: Home) -> Path:
    """Make the folder ready and return it: the settings are written where they are missing or an older template.

    Atomic, and nothing is written where nothing changes, so that a running UI never reads half a file. Raises UserError
    where the folder cannot be written.
    """
    folder = home.prepare().dagster
    target = folder / "dagster.yaml"
    wanted = TEMPLATE.read_text()
    found = target.read_text() if target.is_file() else None
    if found is None or (found != wanted and found.startswith(MANAGED)):
        scratch = folder / f".dagster.yaml-{os.getpid()}"
        try:
            scratch.write_text(wanted)
            os.replace(scratch, target)
        except OSError as error:
            raise UserError(f"cannot write {target} ({error.strerror}): free disk space or set KIMI_HOME") from error
    return folder


def open_instance(home: Home) -> dg.DagsterInstance:
    """The instance of this home; the caller closes it (it is a context manager)."""
    os.environ["DAGSTER_HOME"] = str(prepare_instance(home))
    return dg.DagsterInstance.get()
