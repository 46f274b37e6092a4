"""Stages: a step of the lineage as data, and the memo that makes a finished step free to ask for again.

Belongs here: `Stage`, `Context`, `Outcome`, fingerprints, the `stages` table. Does not belong here: the list of stages
(`lineage.py`), any step's work, Dagster (an asset is a stage under a Dagster name).

A stage's fingerprint covers its settings, its code (without comments and docstrings) and the data versions of what it
reads. Equal fingerprint and outputs still there: nothing is computed.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Launcher
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import Profile
from kimi_pipeline.shards import LocalShards, ShardMap
from kimi_pipeline.tables.declare import as_json


@dataclass(frozen=True)
class Context:
    """What a stage works with. `prompt_set` names the set (the partition) that a run is about; `sources` the sources in
    scope where they are not the profile's (a rebuild: those that were read at the cut)."""

    home: Home
    lake: Lake
    profile: Profile
    launcher: Launcher
    run_id: str
    prompt_set: str
    say: Callable[[str], None] = print
    shards: ShardMap = LocalShards()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a stage made. `data_version` names the content; `figures` are the numbers people look at, most useful first.

    `outputs` hold what later stages need (a checkpoint's digest and folder, a version). `plots` are PNG files,
    `preview` a few rows as dictionaries. `cached` says that nothing was computed, `seconds` how long computing took.
    """

    data_version: str
    figures: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, str] = field(default_factory=dict)
    preview: list[dict[str, Any]] = field(default_factory=list)
    cached: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Stage:
    """A step of the lineage.

    `upstream` names the stages it reads; `settings` picks from the profile what its result depends on; `code` names the
    modules that its result depends on; `tables` are the ones it writes (first: the one people mean). `by_set` says that
    each named prompt set has a result of its own, `by_profile` that each profile has: False where its tables don't tell
    profiles apart: they hold what was computed last, for whichever profile. `after` names stages that it reads under some
    settings alone: in a run it comes after them, and where it reads one, its settings name what it reads. `asks_model` says
    under which profiles a stage of other work starts a model as well.
    """

    name: str
    description: str
    group: str
    compute: Callable[[Context], Outcome]
    upstream: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    settings: Callable[[Context], dict[str, Any]] = lambda context: {}
    code: tuple[str, ...] = ()
    tables: tuple[tables.Table, ...] = ()
    kinds: tuple[str, ...] = ("python",)
    asks_model: Callable[[Profile], bool] = lambda profile: False
    by_set: bool = False
    by_profile: bool = True

    def partition(self, context: Context) -> str:
        """What tells results of one stage apart in a lake that several profiles and sets share."""
        return context.prompt_set if self.by_set else (context.profile.name if self.by_profile else "")


def new_run_id() -> str:
    return uuid.uuid4().hex


def run_stage(stage: Stage, context: Context, upstream: dict[str, Stage]) -> Outcome:
    """Compute a stage, or take the stored outcome where nothing that it depends on has changed.

    Raises UserError where an upstream stage has no outcome yet, naming it.
    """
    above = [upstream[name] for name in stage.upstream]
    newest = _newest([stage, *above], context)
    inputs = _inputs(stage, context) | {
        "upstream": {one.name: _required(one, newest, context).data_version for one in above}
    }
    fingerprint = digest(inputs)
    stored = newest.get(stage.name)
    if stored is not None and stored.fingerprint == fingerprint and _still_there(stored.outcome):
        context.say(f"{stage.name}: unchanged")
        return stored.outcome
    context.say(f"{stage.name}: {stage.description}")
    started = time.monotonic()
    outcome = replace(stage.compute(context), seconds=round(time.monotonic() - started, 3))
    context.lake.append(
        tables.STAGES,
        [
            {
                "stage": stage.name,
                "partition": stage.partition(context),
                "fingerprint": fingerprint,
                "data_version": outcome.data_version,
                "inputs": as_json(inputs),
                "outputs": as_json(outcome.outputs),
                "metadata": json.dumps(
                    {name: getattr(outcome, name) for name in ("figures", "plots", "preview", "seconds")}, default=str
                ),
            }
        ],
        run_id=context.run_id,
        reason=f"stage {stage.name}",
    )
    return outcome


def _inputs(stage: Stage, context: Context) -> dict[str, Any]:
    return {"settings": stage.settings(context), "code": code_version(stage.code)}


def because(stage: Stage, context: Context, upstream: dict[str, Stage], recomputed: Collection[str]) -> list[str]:
    """Why a run would compute this stage: nothing, where it would take the stored outcome.

    `recomputed` names the stages that the run computes before it; whether what they make differs is not known yet.
    """
    newest = _newest([stage, *(upstream[name] for name in stage.upstream)], context)
    stored = newest.get(stage.name)
    if stored is None:
        return ["never computed"]
    if not _still_there(stored.outcome):
        return ["its output is gone"]
    now, then = _inputs(stage, context), stored.inputs
    settings = now["settings"]
    reasons = [
        f"setting {name}"
        for name in sorted(settings.keys() | then["settings"].keys())
        if as_json(settings.get(name)) != as_json(then["settings"].get(name))
    ]
    reasons += ["code"] if now["code"] != then["code"] else []
    for name in stage.upstream:
        if name in recomputed or name not in newest:
            reasons.append(f"{name} is computed")
        elif newest[name].outcome.data_version != then["upstream"].get(name):
            reasons.append(f"{name} changed")
    return reasons


def latest_outcome(stage: Stage, context: Context) -> Outcome | None:
    """The newest outcome of a stage for this profile or set, or None."""
    stored = _newest([stage], context).get(stage.name)
    return stored.outcome if stored else None


def require_outcome(stage: Stage, context: Context) -> Outcome:
    return _required(stage, _newest([stage], context), context)


@cache
def code_version(modules: Sequence[str]) -> str:
    """The digest of what modules do: comments, docstrings and layout don't count."""
    return digest([[name, _module_version(name)] for name in sorted(modules)])


@cache
def _module_version(module: str) -> str:
    return digest(ast.dump(_without_docstrings(_source(module))))


def _source(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return ast.parse(Path(spec.origin).read_text())


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # a lambda's is an expression
            body[:] = [one for one in body if not _is_docstring(one)]
    return tree


def _is_docstring(statement: ast.stmt) -> bool:
    """A text that stands alone, at the beginning or behind what it explains."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@dataclass(frozen=True)
class _Stored:
    """A row of the table of stages."""

    fingerprint: str
    inputs: dict[str, Any]
    outcome: Outcome


def _newest(stages: Sequence[Stage], context: Context) -> dict[str, _Stored]:
    """The newest row of each stage that has one, by the stage's name. An older row with a matching fingerprint does not
    count: what the tables hold now is the newest one's content."""
    rows = context.lake.rows(
        """
        select * from stages
        where (stage, partition) in (select unnest(?), unnest(?))
        qualify row_number() over (partition by stage order by created_at desc) = 1
        """,
        [[one.name for one in stages], [one.partition(context) for one in stages]],
    )
    return {
        row["stage"]: _Stored(
            row["fingerprint"],
            json.loads(row["inputs"]),
            Outcome(
                row["data_version"],
                outputs=json.loads(row["outputs"]),
                cached=True,
                **json.loads(row["metadata"]),
            ),
        )
        for row in rows
    }


def _required(stage: Stage, newest: Mapping[str, _Stored], context: Context) -> Outcome:
    if stage.name not in newest:
        raise UserError(
            f"{stage.name} has not been materialised for {stage.partition(context)!r}: materialise it first"
        )
    return newest[stage.name].outcome


def _still_there(outcome: Outcome) -> bool:
    folder = outcome.outputs.get("folder")
    return folder is None or Path(folder).is_dir()
