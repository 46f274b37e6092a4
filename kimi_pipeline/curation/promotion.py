"""Which version of a set is current: new ones are promoted as they are cut, people promote and roll back.

Belongs here: the log of promotions and reading it. Does not belong here: cutting (`selection.py`), listing (`audit/sets.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake

CURRENT = """
    select prompt_set, version from promotions
    qualify row_number() over (partition by prompt_set order by created_at desc) = 1
"""
"""The current version of each set that has one."""


def current(lake: Lake, prompt_set: str) -> int | None:
    """The current version, or None where the set has none."""
    rows = lake.rows(f"select version from ({CURRENT}) where prompt_set = ?", [prompt_set])
    return int(rows[0]["version"]) if rows else None


def in_use(lake: Lake, made: dict[str, Any]) -> dict[str, Any]:
    """The version that training takes, as `{"prompt_set", "version", "digest"}`: the current one, which is not the one that
    was cut last (`made`, the same columns) where that one was blocked or rolled back."""
    version = current(lake, made["prompt_set"])
    if version is None or version == made["version"]:
        return made
    rows = lake.rows(
        "select prompt_set, version, digest from prompt_set_versions where prompt_set = ? and version = ?",
        [made["prompt_set"], version],
    )
    return rows[0]


def promote(lake: Lake, prompt_set: str, version: int, *, actor: str, reason: str, run_id: str) -> bool:
    """Make a version current; False where it is already. Raises UserError where there is no such version."""
    known = lake.rows(
        "select version from prompt_set_versions where prompt_set = ? and version = ?", [prompt_set, version]
    )
    if not known:
        raise UserError(f"no version {version} of prompt set {prompt_set!r}: `kimi-pipeline sets` lists them")
    if current(lake, prompt_set) == version:
        return False
    row = {"prompt_set": prompt_set, "version": version, "actor": actor, "reason": reason}
    lake.append(tables.PROMOTIONS, [row], run_id=run_id, reason=f"{prompt_set}@{version} is current")
    return True


def roll_back(lake: Lake, prompt_set: str, *, actor: str, reason: str, run_id: str) -> int:
    """Make the version current that was so before this one was; returns it.

    What was rolled back from is not returned to by rolling back again. Raises UserError where there is nothing before.
    """
    rows = lake.rows("select version from promotions where prompt_set = ? order by created_at", [prompt_set])
    history: list[int] = []
    for row in rows:  # a return to an earlier version takes what came after it off the history
        version = int(row["version"])
        history = history[: history.index(version) + 1] if version in history else [*history, version]
    if len(history) < 2:
        raise UserError(f"prompt set {prompt_set!r} has no earlier current version to roll back to")
    promote(lake, prompt_set, history[-2], actor=actor, reason=reason, run_id=run_id)
    return history[-2]
