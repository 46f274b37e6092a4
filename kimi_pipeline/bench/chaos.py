"""Chaos: runs of the smoke profile that something happens to, each followed by the same command once more.

Belongs here: the rounds, running and running again, the figures. Does not belong here: the faults (`chaos_faults.py`), a run
and what it must say (`chaos_runs.py`), whether a home is right (`chaos_judging.py`).

A round is right where the same command, given once more without the fault, ends with exit code 0 and leaves what undisturbed
runs leave; and where the disturbed run itself ended in time and, if it had anybody to tell, with one line. A finished round
is kept under its seed and the code's digest. The home of one that is not right stays for whoever looks into it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kimi_pipeline.bench import chaos_faults as faults
from kimi_pipeline.bench.chaos_faults import KINDS, Round
from kimi_pipeline.bench.chaos_judging import State, committed_samples, reproducible, state_of, wrong_with
from kimi_pipeline.bench.chaos_runs import COMMAND, recomputed, run, said_wrong, still_there
from kimi_pipeline.digests import digest, folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home

NAME = "chaos"
CODE = ("kimi_pipeline", "assets", "resources", "sandbox", "benchmarks/chaos")
AGAIN = 2  # times the command is given once more at most; only the first counts as right
PATIENCE = 300.0  # seconds beyond five times an undisturbed run, then it hangs


@dataclass
class Bench:
    """The rounds of one seed, in `folder`. `undisturbed` is the reference: its state, what of it is exact, its seconds."""

    folder: Path
    seed: int
    undisturbed: tuple[State, set[str], float] | None = None
    looked_again: set[str] = field(default_factory=set)

    def run(self, rounds: Sequence[Round]) -> list[dict[str, Any]]:
        """What is known of each round; those that are not finished are run."""
        code = digest([folder_digest(CHECKOUT / name, (".py", ".toml", ".json")) for name in CODE])
        kept = self.folder / f"rounds-{digest([self.seed, code, COMMAND])[:12]}.jsonl"
        done = {}
        if kept.is_file():
            done = {(row["round"], row["kind"]): row for row in map(json.loads, kept.read_text().splitlines())}
        for one in rounds:
            row = done.get((one.number, one.kind))
            if row is None:
                self.undisturbed = self.undisturbed or self._reference(kept.with_suffix(".reference.json"))
                row = self._round(one)
                with kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                done[one.number, one.kind] = row
            if row["right"]:
                self.looked_again.add(one.kind)
            _say(f"round {one.number} of {len(rounds)}: {one.kind}: {'right' if row['right'] else row['wrong']}")
        return [done[one.number, one.kind] for one in rounds]

    def _reference(self, kept: Path) -> tuple[State, set[str], float]:
        """Two undisturbed runs, once."""
        if not kept.is_file():
            found = []
            for number in (1, 2):
                _say(f"undisturbed run {number} of 2")
                home = self._fresh(f"undisturbed-{number}")
                ended = run(home, self.folder / f"undisturbed-{number}.log")
                if ended.code != 0:
                    raise UserError(f"bench {NAME}: an undisturbed run fails: {ended.last_line}")
                found.append((state_of(Home(home)), ended.seconds))
                faults.clear(home.parent)
            (one, first), (other, second) = found
            values = {
                "state": one.as_json(),
                "exact": sorted(reproducible(one, other)),
                "seconds": round((first + second) / 2, 1),
            }
            kept.write_text(json.dumps(values, indent=1))
        values = json.loads(kept.read_text())
        return State(**values["state"]), set(values["exact"]), values["seconds"]

    def _fresh(self, name: str) -> Path:
        home = self.folder / name / "home"
        faults.clear(home.parent)
        home.mkdir(parents=True)
        return home

    def _round(self, one: Round) -> dict[str, Any]:
        name = f"round-{one.number:02d}"
        home = self._fresh(name)
        disk = faults.small_disk(home.parent) if one.kind == "full_disk" else contextlib.nullcontext()
        with disk:
            home.mkdir(exist_ok=True)
            row = self._disturbed(one, home)
            if row["wrong"]:
                row["home"] = str(self._keep(home, name))
        if row["right"]:
            shutil.rmtree(home.parent, ignore_errors=True)
        return row

    def _keep(self, home: Path, name: str) -> Path:
        """A home on a small disk is copied before that goes."""
        if not os.path.ismount(home.parent):
            return home
        return Path(shutil.copytree(home, self.folder / f"{name}-kept", dirs_exist_ok=True))

    def _disturbed(self, one: Round, home: Path) -> dict[str, Any]:
        assert self.undisturbed is not None
        expected, exact, seconds = self.undisturbed
        place, told = Home(home), self.folder / f"round-{one.number:02d}.told"
        told.unlink(missing_ok=True)
        logs = [self.folder / f"round-{one.number:02d}.{number}.log" for number in range(AGAIN + 2)]
        _say(f"round {one.number}: {one.kind} at {one.moment:.0%} {one.detail or ''}")
        at = time.monotonic() + one.moment * seconds
        limit = 5 * seconds + PATIENCE
        hits: list[str] = []
        first = run(
            home,
            logs[0],
            faults.environment(one, at, home, told),
            lambda process: hits.append(faults.strike(one, process, home, at, at + limit, told)),
            limit=limit,
        )
        faults.filler(home).unlink(missing_ok=True)
        hit = hits[0]
        wrong = said_wrong(one, hit, first) + still_there(home)
        before = committed_samples(place)
        needed = 0
        for needed in range(1, AGAIN + 1):
            again = run(home, logs[needed], limit=limit)
            wrong += still_there(home)
            if again.code == 0:
                break
            wrong.append(f"given once more, it ends with {again.code}: {again.last_line}")
        else:
            wrong.append(f"given {AGAIN} times more, it still fails")
        if again.code == 0:
            wrong += wrong_with(place, before, expected, exact)
            if not wrong and one.kind not in self.looked_again:
                wrong += recomputed(place, logs[-1], limit)
        return {
            "round": one.number,
            **{name: value for name, value in asdict(one).items() if name != "number"},
            "hit": hit,
            "stage": first.stage,
            "samples_before": len(before),
            "first_exit_code": first.code,
            "first_last_line": first.last_line[:300],
            "runs_needed": needed,
            "right": not wrong,
            "wrong": wrong,
        }


def measure(home: Home, rounds: int, seed: int) -> dict[str, Any]:
    """The share of rounds that are right. Raises UserError where an undisturbed run fails."""
    if not faults.INJECTION.is_dir():
        raise UserError(f"bench {NAME}: run from a checkout of the project: benchmarks/ is not installed")
    folder = Home(home.root / "bench" / NAME).root
    folder.mkdir(parents=True, exist_ok=True)
    kinds, skipped = list(KINDS), {}
    try:
        with faults.small_disk(folder / "disk"):
            pass
    except PermissionError as error:
        kinds.remove("full_disk")
        skipped["full_disk"] = str(error)
        _say(f"full_disk is left out: {error}")
    rows = Bench(folder, seed).run(faults.draw_rounds(rounds, seed, kinds))
    right = sum(row["right"] for row in rows)
    return {
        "name": NAME,
        "figures": {
            "rounds": len(rows),
            "right": right,
            "right_share": round(right / len(rows), 4),
            "by_kind": {kind: _figures([row for row in rows if row["kind"] == kind]) for kind in kinds},
            "skipped": skipped,
            "again": [row["runs_needed"] for row in rows],
        },
        "rounds": rows,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --rounds {rounds} --seed {seed}",
    }


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "rounds": len(rows),
        "right": sum(row["right"] for row in rows),
        "struck": sum(bool(row["hit"]) for row in rows),
        "first_exit_codes": dict(Counter(str(row["first_exit_code"]) for row in rows)),
    }


def _say(text: str) -> None:
    print(f"bench {NAME}: {text}", file=sys.stderr, flush=True)
