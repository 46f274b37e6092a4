"""Estimates in force: where a prompt was asked again since the stage, that estimate stands in for the stage's.

Belongs here: which estimate of a problem counts, and naming all of them by a digest. Does not belong here: making them
again (`nights/`), counting samples (`difficulty.py`, `guessability.py`), what a set makes of them (`judged.py`).

The stages estimate every problem with one checkpoint. A night asks a newer one about as many prompts as its budget allows,
so that a set may rest on several: each problem's decision names the one that it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kimi_pipeline.digests import digest
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile

RATED, GUESSED = "difficulty", "guess"
SCHEMA = pa.schema(
    [("problem_id", pa.string()), ("checkpoint", pa.string()), ("template", pa.string()), ("first_sample", pa.int64())]
)


@dataclass(frozen=True)
class Base:
    """A stage's own estimates: `kind`, and the checkpoint and template (with its version) that they were made with."""

    kind: str
    checkpoint: str
    template: str
    temperature: float
    max_tokens: int

    @classmethod
    def of(cls, kind: str, outputs: dict[str, Any], profile: Profile) -> Base:
        """Of a stage's outputs and the settings in force."""
        curation = profile.curation
        asked = {
            RATED: (curation.temperature, curation.max_tokens),
            GUESSED: (curation.guess_temperature, curation.guess_max_tokens),
        }
        return cls(kind, outputs["checkpoint"], outputs["template"], *asked[kind])

    @property
    def name(self) -> str:
        return digest([self.checkpoint, self.template, self.temperature, self.max_tokens])


def in_force(lake: Lake, profile: str, base: Base) -> pa.Table:
    """Columns of `SCHEMA` for the problems whose estimate is another than the stage's."""
    return in_force_by_name(lake, profile, base.kind, base.name)


def in_force_by_name(lake: Lake, profile: str, kind: str, base: str) -> pa.Table:
    """The same for a base that is known by its name alone, as manifests have it."""
    return lake.sql(
        f"select {', '.join(SCHEMA.names)} from estimates where profile = ? and kind = ? and base = ?",
        [profile, kind, base],
    ).cast(SCHEMA)


def estimates_digest(lake: Lake, profile: str, bases: list[Base]) -> str:
    """The name of all estimates that stand in for the stages', with their figures; empty where there are none."""
    parts = []
    for base in bases:
        made = in_force(lake, profile, base)
        if not made.num_rows:
            continue
        table = {RATED: "difficulty", GUESSED: "guessability"}[base.kind]
        figures = {RATED: "d.n, d.correct, d.cut", GUESSED: "d.hit_at, d.attempts"}[base.kind]
        query = f"""
            select made.problem_id, made.checkpoint, made.template, {figures}
            from made left join {table} d using (problem_id, checkpoint, template)
        """
        parts.append([base.kind, lake.query_digest(query, made=made)])
    return digest(parts) if parts else ""


def none() -> pa.Table:
    """No estimates but the stages' own."""
    return SCHEMA.empty_table()
