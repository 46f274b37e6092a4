"""Named prompt sets and their versions, as people and scripts read them.

Belongs here: listing versions, reading a manifest, resolving `NAME` and `NAME@VERSION`. Does not belong here: cutting.
"""

from __future__ import annotations

import difflib
import json
from typing import Any

from kimi_pipeline.curation.promotion import CURRENT
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake_reader import Readable


def versions(lake: Readable) -> list[dict[str, Any]]:
    """All versions, oldest first: set, version (`NAME@N`), created, size, current, digest."""
    rows = lake.rows(
        f"""
        select v.prompt_set, v.version, v.created_at, v.size, v.digest, c.version is not null as current
        from prompt_set_versions v
        left join ({CURRENT}) c on v.prompt_set = c.prompt_set and v.version = c.version
        order by v.created_at, v.version
        """
    )
    return [
        {
            "set": row["prompt_set"],
            "version": f"{row['prompt_set']}@{row['version']}",
            "created": row["created_at"].isoformat(timespec="seconds"),
            "size": row["size"],
            "current": row["current"],
            "digest": row["digest"],
        }
        for row in rows
    ]


def named_version(lake: Readable, name: str) -> dict[str, Any]:
    """`manifest` of a version written as SET@VERSION. Raises UserError for anything else."""
    if "@" not in name:
        raise UserError(f"{name!r} names no version: write it as SET@VERSION (`kimi-pipeline sets` lists them)")
    return manifest(lake, name)


def manifest(lake: Readable, name: str | None) -> dict[str, Any]:
    """The manifest of `NAME@VERSION`, of the newest version of `NAME`, or of the newest version of all.

    Adds `set` and `version`. Raises UserError for an unknown set or version, naming the nearest.
    """
    found = versions(lake)
    if not found:
        raise UserError("no prompt set has been cut yet: run `kimi-pipeline run` first")
    if name is None:
        chosen = found[-1]
    else:
        of_name = [row for row in found if name in (row["version"], row["set"])]
        if not of_name:
            known = sorted({row["set"] for row in found} | {row["version"] for row in found})
            near = difflib.get_close_matches(name, known, n=3) or known
            raise UserError(f"no prompt set {name!r}: there is {', '.join(near[:5])}")
        chosen = of_name[-1]
    prompt_set, _, version = chosen["version"].rpartition("@")
    rows = lake.rows(
        "select manifest from prompt_set_versions where prompt_set = ? and version = ?", [prompt_set, int(version)]
    )
    return json.loads(rows[0]["manifest"]) | {"set": prompt_set, "version": int(version)}
