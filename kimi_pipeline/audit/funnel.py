"""The funnel of a prompt set: how many rows enter and leave each stage, and why the others were refused.

Belongs here: the funnel as stored with the version, and the planted rows held against their labels. Does not belong
here: the counting at the cut (`curation/selection.py`).
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline.audit.sets import manifest
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.reasons import Reason


def funnel(lake: Lake, name: str | None = None) -> dict[str, Any]:
    """`{"set", "version", "stages": [{"stage", "in", "out", "refused": {reason: n}}]}` of a version."""
    found = manifest(lake, name)
    stages = [{name: stage[name] for name in ("stage", "in", "out", "refused")} for stage in found["funnel"]]
    return {"set": found["set"], "version": f"{found['set']}@{found['version']}", "stages": stages}


BOUNDS: dict[str, tuple[str, float]] = {
    "guessable": ("refused as easy_to_hack", 0.95),
    "not_guessable": ("not refused as easy_to_hack", 0.90),
    "multiple_choice": ("refused as multiple_choice", 1.0),
    "true_false": ("refused as true_false", 1.0),
    "proof": ("refused as proof", 1.0),
    "exact_duplicate": ("refused as exact_duplicate", 1.0),
    "evaluation_copy": ("kept out of the set", 1.0),
    "malformed": ("quarantined", 1.0),
    "wrong_reference": ("held back as suspect_reference", 0.80),
    "near_duplicate": ("one of the pair refused as a duplicate", 0.95),
}


def planted(lake: Lake, name: str | None = None) -> list[dict[str, Any]]:
    """Each planted kind: how many rows, what share was treated as it should be, the bound, and whether it holds.

    Guessing is judged on its own: by the guesses drawn, whether or not another stage refused the problem as well.
    Raises UserError where the set's sources hold no planted rows.
    """
    found = manifest(lake, name)
    rows = lake.rows(
        """
        with rows as (
            select planted, problem_id, source || ':' || source_row as row from problems
            where planted is not null and source in (select unnest(?))
            union all
            select planted, '', source || ':' || source_row from quarantine
            where planted is not null and source in (select unnest(?))
        ),
        guessed as (select * from guessability where checkpoint = ? and template = ?),
        suspects as (select problem_id, reason_code from reference_checks where checkpoint = ? and template = ?),
        members as (select problem_id from prompt_set where prompt_set = ? and version = ?)
        select r.planted, r.row, e.reason_code evaluability,
               d.source is not null as repeats, g.attempts, g.hit_at, m.problem_id is not null as member,
               q.source is not null as quarantined, s.reason_code as reference
        from rows r
        left join evaluability e using (problem_id)
        left join duplicates d on d.source || ':' || d.source_row = r.row
        left join guessed g using (problem_id)
        left join members m using (problem_id)
        left join suspects s using (problem_id)
        left join quarantine q on q.source || ':' || q.source_row = r.row
        """,
        [
            found["sources"],
            found["sources"],
            found["checkpoint"],
            found["template"]["guessability"],
            found["checkpoint"],
            found["template"]["difficulty"],
            found["set"],
            found["version"],
        ],
    )
    if not rows:
        raise UserError(f"{found['set']}@{found['version']} has no planted rows: only the built-in corpus does")
    report = []
    for kind, (meaning, bound) in BOUNDS.items():
        of_kind = [row for row in rows if row["planted"] == kind]
        if kind in ("guessable", "not_guessable"):
            # Rows that never reached the guesses (copies of evaluation problems, say) tell nothing about guessing.
            of_kind = [row for row in of_kind if row["attempts"] is not None]
        right = sum(_right(kind, row) for row in of_kind)
        share = right / len(of_kind) if of_kind else 0.0
        report.append(
            {
                "planted": kind,
                "rows": len(of_kind),
                "treated_right": right,
                "share": round(share, 4),
                "bound": bound,
                "meaning": meaning,
                "holds": bool(of_kind) and share >= bound,
            }
        )
    return [*report, _suspects_precision(lake, found)]


def _suspects_precision(lake: Lake, found: dict[str, Any]) -> dict[str, Any]:
    """How many of the suspects were planted: the built-in families' other answers are right by construction."""
    counts = lake.rows(
        f"""
        select count(*) as suspects, count(*) filter (problem_id in (
            select problem_id from problems where planted = 'wrong_reference' and source in (select unnest(?)))) as planted
        from reference_checks
        where checkpoint = ? and template = ? and reason_code = '{Reason.SUSPECT_REFERENCE}'
          and problem_id in (select problem_id from problems where source in (select unnest(?)))
        """,
        [found["sources"], found["checkpoint"], found["template"]["difficulty"], found["sources"]],
    )[0]
    share = counts["planted"] / counts["suspects"] if counts["suspects"] else 0.0
    return {
        "planted": "suspects",
        "rows": counts["suspects"],
        "treated_right": counts["planted"],
        "share": round(share, 4),
        "bound": 0.8,
        "meaning": "suspect_reference, and planted so",
        "holds": share >= 0.8,
    }


def _right(kind: str, row: dict[str, Any]) -> bool:
    if kind == "guessable":
        return row["hit_at"] is not None
    if kind == "not_guessable":
        return row["hit_at"] is None and row["attempts"] > 0
    if kind == "wrong_reference":
        return bool(row["reference"] == Reason.SUSPECT_REFERENCE)
    if kind in (Reason.MULTIPLE_CHOICE, Reason.TRUE_FALSE, Reason.PROOF):
        return bool(row["evaluability"] == kind)
    if kind in ("exact_duplicate", "near_duplicate"):
        return bool(row["repeats"])
    return bool(row["quarantined"]) if kind == "malformed" else not row["member"]
