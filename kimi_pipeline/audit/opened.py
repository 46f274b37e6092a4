"""A version of a prompt set for use elsewhere: `kimi_pipeline.open_set("laptop@3")`.

Belongs here: handing its rows over as Arrow or as a `datasets.Dataset`. Does not belong here: cutting sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.audit.sets import manifest
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake

if TYPE_CHECKING:
    import datasets

COLUMNS = ("problem_id", "prompt", "answer", "answer_kind", "domain", "bucket", "pass_rate", "weight", "reason")


@dataclass(frozen=True)
class OpenedSet:
    """One version, immutable. `manifest` says what it was made from."""

    name: str
    version: int
    manifest: dict[str, Any]
    lake: Lake

    def arrow(self) -> pa.Table:
        """A row a prompt, ordered by problem_id; columns `COLUMNS`."""
        where = [("prompt_set", "=", self.name), ("version", "=", self.version)]
        return self.lake.read(tables.PROMPT_SET, columns=COLUMNS, where=where).sort_by("problem_id")

    def dataset(self) -> datasets.Dataset:
        """The same as a Hugging Face dataset."""
        import datasets

        return datasets.Dataset(datasets.table.InMemoryTable(self.arrow()))


def open_set(name: str, home: Path | str | None = None) -> OpenedSet:
    """`NAME@VERSION`, or the newest version of `NAME`. `home` is the state folder (default: `$KIMI_HOME`).

    Raises UserError for an unknown set or version, naming the nearest.
    """
    lake = Lake((Home(Path(home)) if home else Home.from_env()).lake)
    found = manifest(lake, name)
    return OpenedSet(found["set"], found["version"], found, lake)
