"""Iteration checkpoints: all that the next iteration depends on, in one folder that appears at once [2.6].

Belongs here: writing, finding, pruning and restoring them; refusing one that is of another prompt set. Does not belong
here: the weights' own format (`training/engine.py`), what rows mean (`records.py`).

    <home>/rl/<run>/run.json            the prompt set that the run was begun on
    <home>/rl/<run>/iteration-000012/  trainer/ (weights, optimizer), buffer.parquet, <table>.parquet (the rows that this
                                       iteration adds to the lake), state.json (counters, curves, sampler, random state)

The folder is renamed into place when it is whole, so a kill leaves the last iteration or this one and nothing between.
An iteration's rollouts go to the lake only after its checkpoint: what is committed there is always what training saw.
A segment in flight at a kill is redrawn whole, from its seed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.errors import UserError
from kimi_pipeline.files import write_whole
from kimi_pipeline.rl.prompt_sampling import Prompt

RUN = "run.json"
STATE = "state.json"
BUFFER = "buffer.parquet"
TRAINER = "trainer"
NAMED = 3  # problems of a difference that are named


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was found: `state` is the JSON that was saved with it."""

    iteration: int
    folder: Path
    state: dict[str, Any]

    @property
    def buffer(self) -> pa.Table:
        return pq.read_table(self.folder / BUFFER)

    @property
    def trainer(self) -> Path:
        return self.folder / TRAINER

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows that the iteration added to a table of the lake."""
        return pq.read_table(self.folder / f"{table}.parquet").to_pylist()


class Recovery:
    """The iteration checkpoints of one run, in `root`. Only rank 0 calls `publish` and `prune`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def saved(self) -> list[Saved]:
        """All whole checkpoints, oldest first."""
        found = []
        for path in sorted(self.root.glob(f"iteration-*/{STATE}")):
            state = json.loads(path.read_text())
            found.append(Saved(int(state["iteration"]), path.parent, state))
        return found

    def check_same_set(self, prompts: Sequence[Prompt], version: Mapping[str, Any], iterations: int) -> None:
        """Raises UserError, with the difference, where the run was begun on other prompts and is not at its end."""
        saved = self.saved()
        if not saved or saved[-1].iteration >= iterations:
            return
        began = json.loads((self.root / RUN).read_text())
        if difference := _difference(began["prompts"], contents(prompts)):
            raise UserError(
                f"rl: an unfinished run stands at iteration {saved[-1].iteration} of {iterations} on "
                f"{began['prompt_set']['name']}@{began['prompt_set']['version']}; {version['name']}@{version['version']} "
                f"differs: {difference}. Start anew with --set rl.changed_set=restart"
            )

    def is_of(self, prompts: Sequence[Prompt]) -> bool:
        """Whether what is saved was begun on exactly these prompts."""
        path = self.root / RUN
        return path.is_file() and json.loads(path.read_text())["prompts"] == contents(prompts)

    def begin(self, prompts: Sequence[Prompt], version: Mapping[str, Any]) -> None:
        """Start anew on these prompts: earlier checkpoints of the run are removed."""
        _remove(self.root)
        self.root.mkdir(parents=True)
        write_whole(self.root / RUN, json.dumps({"prompt_set": dict(version), "prompts": contents(prompts)}))

    def scratch(self, iteration: int) -> Path:
        """Where an iteration's checkpoint is prepared; the ranks write their share of the trainer there."""
        return self.root / f".iteration-{iteration:06d}"

    def clear_scratch(self) -> None:
        """Remove what a killed process left half-written or half-removed."""
        for path in self.root.glob(".iteration-*"):
            shutil.rmtree(path)

    def publish(self, iteration: int, state: Mapping[str, Any], buffer: pa.Table, rows: Mapping[str, pa.Table]) -> Path:
        """Add buffer, rows and state to the scratch folder and rename it into place."""
        scratch = self.scratch(iteration)
        scratch.mkdir(parents=True, exist_ok=True)
        pq.write_table(buffer, scratch / BUFFER)
        for name, table in rows.items():
            pq.write_table(table, scratch / f"{name}.parquet")
        (scratch / STATE).write_text(json.dumps({"iteration": iteration, **state}))
        _sync(scratch)
        place = self.root / f"iteration-{iteration:06d}"
        _remove(place)
        os.replace(scratch, place)
        return place

    def prune(self, keep: int) -> None:
        """Remove all but the last `keep`. Their rows must be in the lake."""
        for saved in self.saved()[:-keep]:
            _remove(saved.folder)


def _remove(folder: Path) -> None:
    """Remove a folder, where it is there, that nobody may find half-removed: a kill leaves it whole, or under a hidden name,
    which `clear_scratch` and the next removal clear away."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        os.replace(folder, gone)
        shutil.rmtree(gone)


def _sync(folder: Path) -> None:
    """Write through to the disk: a renamed folder must not turn out empty after a power cut."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def contents(prompts: Sequence[Prompt]) -> dict[str, str]:
    """What of each prompt a run depends on, by problem id (which covers its text)."""
    return {
        one.problem_id: (
            f"{one.reference.answer}|{one.reference.answer_kind}|{one.weight:g}|{one.pass_rate}|{one.samples}"
        )
        for one in prompts
    }


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    common = now.keys() & before.keys()
    kinds = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in common if now[name] != before[name]),
    }
    return "; ".join(
        f"{len(names)} {what} ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
        for what, names in kinds.items()
        if names
    )
