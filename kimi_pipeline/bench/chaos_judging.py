"""Is a home right after all? What a run must have left there, whatever happened to it on the way.

Belongs here: the state of a home as digests, holding one against that of undisturbed runs, leftovers. Does not belong here:
faults (`chaos_faults.py`), what the runs said and how they ended (`chaos.py`).

Two undisturbed runs tell which tables come out bit for bit: these must have the same digest after a fault. Of the others the
counts must agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.audit.funnel import funnel
from kimi_pipeline.checkpoints import all_checkpoints
from kimi_pipeline.clock import CLOCK
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.folders import LOCK
from kimi_pipeline.home import Home
from kimi_pipeline.lake import TURN, Lake

RESULTS = {(stage, temperature) for stage in ("base", "sft", "rl") for temperature in (0.0, 1.0)}
CONTENT = {
    "ledger": "select distinct prompt_set, stage, problem_id, subject, verdict, reason_code, evidence from ledger",
    "prompt_set_versions": "select prompt_set, version, size, digest from prompt_set_versions",
    "samples": "select sample_id, problem_id, purpose, checkpoint, sample_index, text, status, reward from samples",
    "stages": "select distinct stage, partition, fingerprint, data_version from stages",
    "submission_runs": "select distinct problem_id, submission_id, input_digest, setting, outcome, output from submission_runs",
}
"""What of a table must come out the same, where that is less than its columns: seconds, paths and versions of files differ
from run to run, and a row that was appended twice counts once where the newest is in force."""
STAY = {CLOCK, LOCK}  # hidden files that are no scratch
FOREIGN = ("dagster/storage", "dagster/history", "dagster/schedules", "mlflow", "lake")
"""Folders whose files others name; what a Delta table's log does not name is no part of it, and `maintain` removes it."""
SAMPLE_ROWS = (
    "select sample_id, md5(cast(struct_pack(problem_id, purpose, checkpoint, text, status, reward) as varchar)) as said"
)


@dataclass(frozen=True)
class State:
    """`digests` and `counts` by table; of samples, `counts` has how many there are of each purpose and problem as well."""

    digests: dict[str, str]
    counts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def state_of(home: Home) -> State:
    lake = Lake(home.lake)
    digests, counts = {}, {}
    for name, table in tables.TABLES.items():
        digests[name] = lake.query_digest(CONTENT[name]) if name in CONTENT else lake.digest(table)
        query = (
            f"select count(*) as n from ({CONTENT[name]})" if name in CONTENT else f"select count(*) as n from {name}"
        )
        counts[name] = lake.rows(query)[0]["n"]
    asked = lake.rows("select purpose, problem_id, count(*) as n from samples group by all order by all")
    counts["samples by problem"] = digest(asked)
    checkpoints = [(one.stage, one.digest) for one in all_checkpoints(home.checkpoints)]
    digests["checkpoints"], counts["checkpoints"] = digest(checkpoints), len(checkpoints)
    return State(digests, counts)


def committed_samples(home: Home) -> dict[str, str]:
    """What each committed sample says, by its id."""
    return {row["sample_id"]: row["said"] for row in Lake(home.lake).rows(f"{SAMPLE_ROWS} from samples")}


def reproducible(one: State, other: State) -> set[str]:
    """What two undisturbed runs have bit for bit the same."""
    return {name for name, found in one.digests.items() if other.digests[name] == found}


def wrong_with(home: Home, before: dict[str, str], expected: State, exact: Iterable[str]) -> list[str]:
    """What is not as it must be, in words. `before`: the samples that were committed when the fault was over; `expected`: the
    state of an undisturbed run, whose tables in `exact` must come out bit for bit."""
    lake = Lake(home.lake)
    wrong = []
    twice = lake.rows("select sample_id from samples group by 1 having count(*) > 1 order by 1")
    if twice:
        wrong.append(f"{len(twice)} sample ids stand there twice, as {twice[0]['sample_id']}")
    after = committed_samples(home)
    if lost := sorted(before.keys() - after.keys()):
        wrong.append(f"{len(lost)} committed samples are lost, as {lost[0]}")
    if changed := sorted(name for name in before.keys() & after.keys() if before[name] != after[name]):
        wrong.append(f"{len(changed)} committed samples have changed, as {changed[0]}")
    wrong += _funnel(lake)
    results = {(row["stage"], row["temperature"]) for row in lake.rows("select stage, temperature from results")}
    if missing := sorted(RESULTS - results):
        wrong.append(f"no results of {missing}")
    found, exact = state_of(home), set(exact)
    wrong += [f"{name} has another content" for name in sorted(exact) if found.digests[name] != expected.digests[name]]
    wrong += [
        f"{name}: {found.counts.get(name)} instead of {count}"
        for name, count in sorted(expected.counts.items())
        if name not in exact and found.counts.get(name) != count
    ]
    return wrong + [f"left over: {path}" for path in leftovers(home)]


def _funnel(lake: Lake) -> list[str]:
    try:
        stages = funnel(lake)["stages"]
    except UserError as error:
        return [f"funnel: {error}"]
    wrong = [
        f"funnel: {one['out']} leave {one['stage']}, {other['in']} enter {other['stage']}"
        for one, other in itertools.pairwise(stages)
        if one["out"] != other["in"]
    ]
    wrong += [
        f"funnel: {stage['stage']} loses rows"
        for stage in stages
        if stage["in"] != stage["out"] + sum(stage["refused"].values())
    ]
    size = lake.rows("select count(*) as n from prompt_set where version = (select max(version) from prompt_set)")[0][
        "n"
    ]
    return wrong + ([] if stages[-1]["out"] == size else [f"funnel: {stages[-1]['out']} leave it, the set has {size}"])


def leftovers(home: Home) -> list[str]:
    """Half-written files and folders: what is hidden or named as scratch, and anything in staging."""
    found = []
    for path in sorted(home.root.rglob("*")):
        name = path.relative_to(home.root)
        if path.name in STAY or path.suffix == TURN:
            continue
        if any(name.is_relative_to(folder) for folder in FOREIGN):
            if name.parent == Path("lake") and path.name.startswith("."):
                found.append(str(name))
        elif name.parent == Path("staging") or path.name.startswith(".") or path.suffix == ".tmp":
            found.append(str(name))
    return found
