"""A night: stale estimates and guesses are made again, the sets that ask for it are cut, compared, promoted or blocked.

Belongs here: the order of a night and its record. Does not belong here: its parts, when it begins (`assets/nights.py`).
Every part can be cut short or killed: the estimates in force are whole ones, a version is judged once, by the next night if
this one dies before.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.curation.promotion import current, promote
from kimi_pipeline.curation.recipe import load_recipe, recipe_names
from kimi_pipeline.curation.selection import cut_version, newest_version
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.inference.budget import Bounds
from kimi_pipeline.locks import only_one
from kimi_pipeline.nights.drift import as_text, compare
from kimi_pipeline.nights.guesses import guess_again
from kimi_pipeline.nights.reestimation import keep, look, reestimate
from kimi_pipeline.nights.target import Target
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, Stage, run_stage

ACTOR = "nights@1"
PROMOTED, BLOCKED, UNCHANGED = "promoted", "blocked", "unchanged"


@contextlib.contextmanager
def only_night(home: Home) -> Iterator[None]:
    """Hold the home's night. Raises UserError where another process has it; the kernel frees it when we die."""
    refusal = "a night is going on already (process {holder}): wait for its end or stop it"
    with only_one(home.prepare().root / "night.lock", refusal):
        yield


def ask_again(
    context: Context,
    target: Target,
    *,
    started: datetime,
    until: datetime | None = None,
    stop_file: Path | None = None,
) -> dict[str, Any]:
    """Make stale estimates and then stale guesses again; returns the report of `reestimate` with `guesses` of
    `guess_again`, tokens and seconds of both together.

    Guesses have their share of the token budget, and what difficulty leaves of it.
    """
    nights = context.profile.nights
    budget = nights.token_budget
    with only_night(context.home):
        stale = look(context, target, started)
        share = None if budget is None else round(budget * (1 - nights.guess_share))
        found = reestimate(context, stale, Bounds(share, until, stop_file))
        left = None if budget is None else budget - found["tokens"]
        guesses = guess_again(context, target, Bounds(left, until, stop_file))
        found |= {
            "guesses": guesses,
            "tokens": found["tokens"] + guesses["tokens"],
            "seconds": round(found["seconds"] + guesses["seconds"], 1),
            "stopped_by": found["stopped_by"] or guesses["stopped_by"],
        }
        keep(context.lake, context.profile.name, found, started=started, until=until, run_id=context.run_id)
    return found


def nightly_sets(home: Home) -> list[str]:
    """The sets whose recipe asks for a new version each night."""
    return [name for name in recipe_names(home) if load_recipe(home, name).nightly]


def cut_again(context: Context, lineage: Mapping[str, Stage]) -> list[dict[str, Any]]:
    """A new version of each nightly set, judged: `{"set", "version", "verdict", "reason_code", "detail", "figures"}` each.

    A set that can't be cut does not keep the others from it: its row has an `error` instead.
    """
    rows = []
    for name in nightly_sets(context.home):
        own = dataclasses.replace(context, prompt_set=name)
        try:
            run_stage(dataclasses.replace(lineage["rl_prompt_set"], compute=cut_version), own, dict(lineage))
            run_stage(lineage["decision_ledger"], own, dict(lineage))
            rows.append(settle(own))
        except UserError as error:
            rows.append({"set": name, "error": str(error)})
    return rows


def settle(context: Context) -> dict[str, Any]:
    """Compare the newest version of the set with the current one; make it current, or say why not and leave it."""
    lake, name = context.lake, context.prompt_set
    version, now = newest_version(lake, name), current(lake, name)
    if version is None or version == now:
        return _verdict(name, version, now, UNCHANGED, None, "", {})
    if lake.rows("select 1 from promotions where prompt_set = ? and version = ?", [name, version]):
        # It was current once, and a person went back.
        return _verdict(name, version, now, UNCHANGED, None, "a person chose the version before", {})
    known = lake.rows(
        "select verdict, reason_code, detail from version_checks where prompt_set = ? and version = ? "
        "and against is not distinct from ? order by created_at desc limit 1",
        [name, version, now],
    )
    if known and known[0]["verdict"] == BLOCKED:
        return _verdict(name, version, now, BLOCKED, known[0]["reason_code"], known[0]["detail"], {})
    if now is None:
        verdict = _verdict(name, version, now, PROMOTED, Reason.FIRST_VERSION, "", {})
    else:
        found = compare(lake, name, now, version, context.profile.nights)
        reason = Reason(found["beyond"][0]) if found["beyond"] else Reason.WITHIN_LIMITS
        kind = BLOCKED if found["beyond"] else PROMOTED
        verdict = _verdict(name, version, now, kind, reason, found["detail"], found)
    row = {name: verdict[name] for name in ("version", "against", "verdict", "reason_code", "detail")}
    row |= {"prompt_set": name, "figures": as_text(verdict["figures"])}
    lake.append(tables.VERSION_CHECKS, [row], run_id=context.run_id, reason=f"{name}@{version} {verdict['verdict']}")
    if verdict["verdict"] == PROMOTED:
        why = f"nightly cut: {verdict['reason_code']}"
        promote(lake, name, version, actor=ACTOR, reason=why, run_id=context.run_id)
    return verdict


def _verdict(
    name: str, version: int | None, against: int | None, verdict: str, reason: str | None, detail: str, figures: Any
) -> dict[str, Any]:
    return {
        "set": name,
        "version": version,
        "against": against,
        "verdict": verdict,
        "reason_code": str(reason) if reason else None,
        "detail": detail,
        "figures": figures,
    }
