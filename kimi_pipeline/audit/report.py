"""Report: what a person wants to see of a version at a glance, as data for one page.

Belongs here: the queries behind the page. Does not belong here: how it looks (`report_page.py`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from kimi_pipeline.audit.diff import CAUSES, diff
from kimi_pipeline.audit.funnel import funnel
from kimi_pipeline.audit.reward_watch import alarms_of_version
from kimi_pipeline.audit.sets import named_version, versions
from kimi_pipeline.intervals import wilson
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import IN_FORCE, REFUSE
from kimi_pipeline.reasons import Reason

MOST_PROBLEMS = 5000
MOST_REASONS = 15
BINS = 11  # of pass rates: 0, 0.1, ..., 1
EXCERPT = 240

FIGURES = """
    with member as (select * from prompt_set where prompt_set = $name and version = $version),
         rated as (select * from difficulty where checkpoint = $checkpoint and template = $template),
         asked as (select problem_id, min(licence) as licence, any_value(prompt) as prompt
                   from problems where source in (select unnest($sources)) group by 1)
"""
RATES = (
    FIGURES
    + """
    select round(pass_rate * 10)::int as bin, count(*) as problems, count(m.problem_id) as members
    from rated r left join (select problem_id from member) m using (problem_id)
    where pass_rate is not null and r.problem_id in (select problem_id from asked) group by 1 order by 1
"""
)
DOMAINS = FIGURES + "select domain, bucket, count(*) as problems from member group by all order by domain, bucket"
LICENCES = (
    FIGURES
    + """
    select coalesce(licence, 'unknown') as licence, count(*) as problems
    from member left join asked using (problem_id) group by 1 order by 2 desc
"""
)
GUESSES = """
    select hit_at, count(*) as problems, avg(by_chance) as by_chance from guessability g
    where checkpoint = $checkpoint and template = $guessed_in
      and problem_id in (select problem_id from problems where source in (select unnest($sources)))
    group by 1 order by 1
"""
TABLE = (
    FIGURES
    + f"""
    , refused as (
        select problem_id, stage, reason_code from ({IN_FORCE})
        where verdict = '{REFUSE}' and subject = '' and prompt_set in ('', $name)
        qualify row_number() over (partition by problem_id order by prompt_set, created_at desc) = 1
    ),
    shown as (
        select problem_id, prompt from asked
        union all
        select problem_id, any_value(prompt) from prompt_set semi join changed using (problem_id)
        where prompt_set = $name and problem_id not in (select problem_id from asked) group by 1
    ),
    rows as (
        select a.problem_id, coalesce(left(a.prompt, {EXCERPT}), '(erased)') as prompt, coalesce(t.domain, '') as domain,
               r.pass_rate, r.low, r.high, m.problem_id is not null as member, f.stage, f.reason_code, c.change, c.cause,
               case when c.problem_id is not null then 'changed'
                    when r.pass_rate is not null and ((r.low <= $least and $least <= r.high and r.pass_rate > $least)
                      or (r.low <= $most and $most <= r.high and r.pass_rate < $most)) then 'near a threshold'
                    when f.problem_id is not null and m.problem_id is null then 'refused' end as shown_as
        from shown a left join (select problem_id from member) m using (problem_id)
        left join (select problem_id, domain from tags) t using (problem_id)
        left join rated r using (problem_id) left join refused f using (problem_id)
        left join changed c using (problem_id)
    )
    select * from rows where shown_as is not null
    order by list_position(['changed', 'near a threshold', 'refused'], shown_as), problem_id limit {MOST_PROBLEMS}
"""
)


def report(lake: Lake, name: str) -> dict[str, Any]:
    """Everything the page of SET@VERSION shows.

    `{"version", "set", "size", "created", "digest", "current", "funnel", "rates", "domains", "guesses", "drift",
    "reasons", "licences", "reward_alarms", "problems", "thresholds", "checkpoint"}`. Raises UserError for an unknown version.
    """
    found = named_version(lake, name)
    version = f"{found['set']}@{found['version']}"
    (told,) = [row for row in versions(lake) if row["version"] == version]
    asked = {
        "name": found["set"],
        "version": found["version"],
        "checkpoint": found["checkpoint"],
        "template": found["template"]["difficulty"],
        "sources": found["sources"],
    }
    stages = funnel(lake, version)["stages"]
    drift = _drift(lake, found)
    return told | {
        "funnel": stages,
        "rates": _rates(lake.rows(RATES, asked)),
        "domains": lake.rows(DOMAINS, _used(DOMAINS, asked)),
        "guesses": _guesses(lake, found),
        "drift": drift,
        "reasons": _reasons(stages),
        "licences": lake.rows(LICENCES, _used(LICENCES, asked)),
        "reward_alarms": alarms_of_version(lake, found["set"], found["version"]),
        "problems": _problems(lake, found, asked, drift),
        "thresholds": {side: found["recipe"][side] for side in ("min_pass_rate", "max_pass_rate")},
        "checkpoint": found["checkpoint"],
        "code": found["code"],
    }


def _used(query: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f"${name}" in query}


def _rates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a tenth: its share of the rated problems, with the 95 % Wilson interval of that share."""
    total = sum(row["problems"] for row in rows)
    by_bin = {row["bin"]: row for row in rows}
    found = []
    for place in range(BINS):
        row = by_bin.get(place, {"problems": 0, "members": 0})
        low, high = wilson(row["problems"], total) if total else (0.0, 0.0)
        found.append(
            {"pass_rate": place / 10, "problems": row["problems"], "members": row["members"]}
            | {"low": low * total, "high": high * total}
        )
    return found


def _guesses(lake: Lake, found: dict[str, Any]) -> dict[str, Any]:
    asked = {"checkpoint": found["checkpoint"], "guessed_in": found["template"]["guessability"]}
    rows = lake.rows(GUESSES, asked | {"sources": found["sources"]})
    asked_of = sum(row["problems"] for row in rows)
    hits = {int(row["hit_at"]): row["problems"] for row in rows if row["hit_at"] is not None}
    chance = sum(row["by_chance"] * row["problems"] for row in rows) / asked_of if asked_of else None
    return {"asked": asked_of, "guessed": sum(hits.values()), "by_attempt": hits, "by_chance": chance}


def _drift(lake: Lake, found: dict[str, Any]) -> dict[str, Any] | None:
    """What changed since the version before; None for a first one."""
    earlier = [
        row["version"]
        for row in lake.rows(
            "select version from prompt_set_versions where prompt_set = ? and version < ? order by version",
            [found["set"], found["version"]],
        )
    ]
    if not earlier:
        return None
    changed = diff(lake, f"{found['set']}@{earlier[-1]}", f"{found['set']}@{found['version']}")
    return {
        "since": changed["a"],
        "summary": [row | {"meaning": CAUSES[row["cause"]]} for row in changed["summary"]],
        "changes": changed["changes"],
    }


def _reasons(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counted = Counter({(stage["stage"], code): n for stage in stages for code, n in stage["refused"].items()})
    return [
        {"stage": stage, "reason": code, "problems": n, "meaning": Reason(code).meaning}
        for (stage, code), n in counted.most_common(MOST_REASONS)
    ]


def _problems(
    lake: Lake, found: dict[str, Any], asked: dict[str, Any], drift: dict[str, Any] | None
) -> list[dict[str, Any]]:
    changes = drift["changes"] if drift else []
    names = ("problem_id", "change", "cause")
    changed = pa.table({name: pa.array([row[name] for row in changes], pa.string()) for name in names})
    recipe = found["recipe"]
    values = asked | {"least": recipe["min_pass_rate"], "most": recipe["max_pass_rate"]}
    return lake.rows(TABLE, values, changed=changed)
