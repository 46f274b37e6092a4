"""Blame: the data, sets, settings and code behind a checkpoint, up to the sources' own digests.

Belongs here: walking finished stages from what they made to what they read. Does not belong here: running stages
(`stages.py`), what a decision rests on (`explain.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kimi_pipeline.checkpoints import Checkpoint, all_checkpoints, made_at
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake


def find_checkpoint_by(root: Path, query: str) -> Checkpoint:
    """The checkpoint whose digest begins with `query`, or the one of that stage that was made last.

    Raises UserError where none or several match, naming what there is.
    """
    known = all_checkpoints(root)
    if not known:
        raise UserError(f"no checkpoint under {root} yet: materialise one (`kimi-pipeline run`)")
    found = [one for one in known if one.digest.startswith(query)]
    if not found:
        of_stage = [one for one in known if one.stage == query]
        found = sorted(of_stage, key=lambda one: made_at(root, one))[-1:]
    if len(found) != 1:
        listed = ", ".join(f"{one.stage} {one.digest[:12]}" for one in known)
        raise UserError(f"{query!r} is {'several' if found else 'none'} of the checkpoints: {listed}")
    return found[0]


def blame(lake: Lake, root: Path, query: str) -> dict[str, Any]:
    """What is behind a checkpoint.

    `{"checkpoint", "stage", "note", "parents", "prompt_set", "stages", "sources"}`: `parents` from the nearest to the
    base, `stages` every finished stage that its data came through (nearest first) with data version, digests of code and
    settings, run and time, `sources` each source's declaration with the digest of its file. Raises UserError where the
    checkpoint is unknown.
    """
    checkpoint = find_checkpoint_by(root, query)
    by_digest = {one.digest: one for one in all_checkpoints(root)}
    parents, parent = [], checkpoint.parent
    while parent:
        known = by_digest.get(parent)
        parents.append({"checkpoint": parent, "stage": known.stage if known else "not here any more"})
        parent = known.parent if known else None
    stages = walk(lake, checkpoint.digest)
    return {
        "checkpoint": checkpoint.digest,
        "stage": checkpoint.stage,
        "note": checkpoint.note,
        "parents": parents,
        "prompt_set": checkpoint.data_versions.get("prompt_set"),
        "stages": [
            {
                "stage": row["stage"],
                "partition": row["partition"],
                "data_version": row["data_version"],
                "code": row["inputs"]["code"],
                "settings": digest(row["inputs"]["settings"]),
                "run_id": row["run_id"],
                "made": row["created_at"].isoformat(timespec="seconds"),
            }
            for row in stages
        ],
        "sources": [
            source for row in stages if row["stage"] == "corpus" for source in row["inputs"]["settings"]["sources"]
        ],
    }


def walk(lake: Lake, data_version: str) -> list[dict[str, Any]]:
    """The finished stages that led to `data_version`, nearest first, each once.

    A stage that made the same data several times is met as it stood when its reader ran.
    """
    rows = lake.rows(
        "select stage, partition, data_version, inputs, run_id, created_at from stages order by created_at"
    )
    for row in rows:
        row["inputs"] = json.loads(row["inputs"])
    waiting = [row for row in rows if row["data_version"] == data_version][-1:]
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    while waiting:
        row = waiting.pop(0)
        key = (row["stage"], row["partition"], row["data_version"])
        if key in found:
            continue
        found[key] = row
        for stage, version in row["inputs"]["upstream"].items():
            made = [
                one
                for one in rows
                if one["stage"] == stage and one["data_version"] == version and one["created_at"] <= row["created_at"]
            ]
            waiting += made[-1:]
    return list(found.values())
