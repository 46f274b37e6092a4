"""Pins: the old versions of tables that manifests of prompt sets name. Their files stay, so that a set can be rebuilt.

Belongs here: reading them from the manifests. Does not belong here: removing anything (`tidying.py`).
"""

from __future__ import annotations

import json

from kimi_pipeline.lake import Lake


def pinned_versions(lake: Lake) -> dict[str, list[int]]:
    """By table, the versions that a manifest of any prompt set's version names, oldest first."""
    pinned: dict[str, set[int]] = {}
    for row in lake.rows("select manifest from prompt_set_versions"):
        for table, version in json.loads(row["manifest"]).get("inputs", {}).items():
            if version is not None:
                pinned.setdefault(table, set()).add(int(version))
    return {table: sorted(versions) for table, versions in sorted(pinned.items())}
