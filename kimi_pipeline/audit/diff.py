"""Diff: what changed between two versions of a set, and the primary cause of each change.

Belongs here: comparing members and the decisions in force at both cuts. Does not belong here: cutting (`curation/`).

The primary cause of a problem's change is the earliest stage whose decision differs: what later stages say follows from
it. Where no decision on the problem itself differs but its place, others took it or left it: `quota_displaced`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypedDict

from kimi_pipeline import tables
from kimi_pipeline.audit.sets import named_version
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.lake_reader import Readable, Reading
from kimi_pipeline.ledger import FUNNEL, PERSON, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.tables.declare import as_json

ADDED, REMOVED, RELABELLED, MOVED, REWEIGHTED = "added", "removed", "relabelled", "moved", "reweighted"
SOURCE, RULE, EVALUATION_SET, CHECKPOINT, SAMPLES = "source", "rule", "evaluation_set", "checkpoint", "samples"
THRESHOLD, A_PERSON, DISPLACED = "threshold", "person", "quota_displaced"
PEOPLE = "people"  # the ledger's stage of people's decisions
CAUSES = {
    SOURCE: "a source row came, went or changed",
    RULE: "a rule's version changed",
    EVALUATION_SET: "an evaluation set changed",
    CHECKPOINT: "another checkpoint was asked",
    SAMPLES: "the same checkpoint gave more samples",
    THRESHOLD: "the recipe or a threshold changed",
    A_PERSON: "a person decided",
    DISPLACED: "others took its place, or left theirs to it",
}


class Said(NamedTuple):
    """What a stage said of a problem: columns of the ledger."""

    verdict: str
    reason_code: str
    evidence: str
    checkpoint: str
    parameters: str
    actor: str


def _in_force(cut: str) -> str:
    """The newest decision up to a cut, null where there is none."""
    listed = ", ".join(Said._fields)
    return f"arg_max(struct_pack({listed}), created_at) filter (created_at <= ${cut}) as {cut}"


def _each(cut: str) -> str:
    """Its columns one by one: as one value they take longer to fetch."""
    return ", ".join(f"{cut}.{name}" for name in Said._fields)


RELABEL = "(a.answer <> b.answer or a.domain <> b.domain)"  # an erased answer is null and differs from none
CHANGED = "(select unnest(string_split($changed, ' ')) as problem_id)"
"""Of ids as one text: as a list they take five times as long to bind."""
DECIDED = "created_at > $first and created_at <= $last and prompt_set in ('', $prompt_set)"
STAGES = f"select distinct stage from ledger where {DECIDED}"
"""Those that decided between the cuts. Few did, mostly; the ledger is partitioned by stage, so others' files are not read."""
SAID = f"""
    with between as materialized (
             select distinct problem_id, stage from ledger where {DECIDED}
         ),
         said as materialized (
             select prompt_set, stage, problem_id, subject, verdict, reason_code, evidence, checkpoint, parameters, actor,
                    created_at
             from ledger semi join {CHANGED} using (problem_id) semi join between using (problem_id, stage)
             where list_contains($stages, stage) and created_at <= $last and prompt_set in ('', $prompt_set)
               and not (stage = 'people' and subject = 'source')
         )
    select stage, problem_id, {_each("a")}, {_each("b")}
    from (
        select prompt_set, stage, problem_id, subject, {_in_force("a")}, {_in_force("b")}
        from said group by prompt_set, stage, problem_id, subject
    )
    order by subject, prompt_set
"""
"""The decisions in force at both cuts, of the stages that decided on a changed problem between them: where nothing was
decided in between, the ledger says the same at both. In an order of their own, so that of several rows of one problem the
same one speaks at both cuts."""


class Member(NamedTuple):
    """A problem of one version or both that changed, with its domain (in the newer one that holds it) and weights."""

    problem_id: str
    change: str
    domain: str
    domain_a: str | None
    domain_b: str | None
    weight_a: float | None
    weight_b: float | None


Decided = dict[str, dict[str, Said]]  # by problem and stage


class Change(TypedDict):
    """One problem's change. `moved_by`: for a displaced problem, the cause that moved it, and how many it moved."""

    problem_id: str
    change: str
    stage: str
    cause: str
    before: str
    after: str
    detail: str
    moved_by: str


def diff(lake: Lake, before: str, after: str) -> dict[str, Any]:
    """`{"a", "b", "summary": [{"change", "stage", "cause", "problems"}], "changes": [Change]}`.

    Raises UserError for an unknown version, and for versions of two different sets.
    """
    with lake.reading() as state:
        return _diff(state, lake, before, after)


def _diff(lake: Reading, old: Lake, before: str, after: str) -> dict[str, Any]:
    """`old` gives tables at older versions, `lake` one state of the newest."""
    a, b = _version(lake, before), _version(lake, after)
    if a["set"] != b["set"]:
        raise UserError(f"{before} and {after} are versions of two sets: name two versions of one")
    members = _members(lake, a, b)
    changed = [one.problem_id for one in members]
    was, now = _answers(old, (a, b), changed)
    stages, (said_then, said_now) = _decisions(lake, (a, b), changed)
    gone = _withdrawn(lake, changed)
    changes = []
    for member in members:
        name = member.problem_id
        decided = (said_then.get(name, {}), said_now.get(name, {}))
        changes.append(_explain(member, (was.get(name), now.get(name)), decided, stages, gone))
    _tell_who_moved(changes, members)
    counted = Counter(map(itemgetter("change", "stage", "cause"), changes))
    return {
        "a": f"{a['set']}@{a['version']}",
        "b": f"{b['set']}@{b['version']}",
        "summary": [
            {"change": change, "stage": stage, "cause": cause, "problems": n}
            for (change, stage, cause), n in sorted(counted.items(), key=lambda item: -item[1])
        ],
        "changes": sorted(changes, key=itemgetter("change", "cause")),  # members, and so changes, come by id
    }


def _version(lake: Readable, name: str) -> dict[str, Any]:
    found = named_version(lake, name)
    (row,) = lake.rows(
        "select created_at from prompt_set_versions where prompt_set = ? and version = ?",
        [found["set"], found["version"]],
    )
    return found | {"cut": row["created_at"]}


def _members(lake: Reading, a: dict[str, Any], b: dict[str, Any]) -> list[Member]:
    """Members of one or both versions that changed, in the order of their ids."""
    found = lake.tuples(
        f"""
        with a as (select * from prompt_set where prompt_set = $name and version = $a),
             b as (select * from prompt_set where prompt_set = $name and version = $b)
        select coalesce(a.problem_id, b.problem_id) as problem_id,
               case when a.problem_id is null then '{ADDED}' when b.problem_id is null then '{REMOVED}'
                    when {RELABEL} then '{RELABELLED}'
                    when a.bucket <> b.bucket then '{MOVED}' else '{REWEIGHTED}' end as change,
               coalesce(b.domain, a.domain) as domain, a.domain, b.domain, a.weight, b.weight
        from a full join b on a.problem_id = b.problem_id
        where a.problem_id is null or b.problem_id is null or a.bucket <> b.bucket or a.weight <> b.weight or {RELABEL}
        order by problem_id
        """,
        {"name": a["set"], "a": a["version"], "b": b["version"]},
    )
    return [Member._make(row) for row in found]


def _answers(lake: Lake, versions: tuple[dict[str, Any], ...], changed: list[str]) -> list[dict[str, str]]:
    """For each of the two versions, the answer of each changed problem that stood in its sources when it was cut; empty
    where it was erased. Nothing for either where both were cut from the same rows."""
    read = [(one["inputs"][tables.PROBLEMS.name], one["sources"]) for one in versions]
    if read[0] == read[1]:
        return [{}, {}]
    query = (
        "select problem_id, min(coalesce(answer, '')) as answer from problems "
        f"semi join {CHANGED} using (problem_id) where source in (select unnest($sources)) group by 1"
    )
    return [
        {
            row["problem_id"]: row["answer"]
            for row in lake.rows_at(tables.PROBLEMS, at, query, {"sources": sources, "changed": " ".join(changed)})
        }
        for at, sources in read
    ]


def _decisions(
    lake: Reading, versions: tuple[dict[str, Any], ...], changed: list[str]
) -> tuple[list[str], tuple[Decided, Decided]]:
    """The funnel's stages that decided between the two versions' cuts; and for each version, by problem and stage, the
    decision of such a stage that was in force at its cut. Of several rows of one problem the kept one speaks; what people
    decided on its membership, tag and answer is told as one."""
    cuts = [one["cut"] for one in versions]
    between = {"first": min(cuts), "last": max(cuts), "prompt_set": versions[0]["set"]}
    decided = {row["stage"] for row in lake.rows(STAGES, between)}
    asked = between | {"a": cuts[0], "b": cuts[1], "stages": sorted(decided), "changed": " ".join(changed)}
    found: tuple[Decided, Decided] = ({}, {})
    middle = 2 + len(Said._fields)
    for row in lake.tuples(SAID, asked):
        stage, problem_id = row[:2]
        for columns, by_problem in zip((row[2:middle], row[middle:]), found, strict=True):
            said = Said._make(columns)
            if said.verdict is None or said.reason_code == Reason.DECISION_ENDED:
                continue
            by_stage = by_problem.setdefault(problem_id, {})
            known = by_stage.get(stage)
            by_stage[stage] = said if known is None else _of_both(stage, known, said)
    return [stage for stage in FUNNEL if stage in decided], found


def _of_both(stage: str, one: Said, other: Said) -> Said:
    if stage == PEOPLE:
        return _together(one, other)
    return other if one.verdict == REFUSE else one


def _together(one: Said, other: Said) -> Said:
    first, second = sorted((one, other), key=lambda said: said.reason_code)
    evidence = json.loads(first.evidence) | json.loads(second.evidence)
    return first._replace(
        verdict=REFUSE if REFUSE in (one.verdict, other.verdict) else one.verdict,
        reason_code=f"{first.reason_code}, {second.reason_code}",
        actor=f"{first.actor}, {second.actor}",
        evidence=json.dumps(evidence, sort_keys=True),
    )


def _explain(
    member: Member,
    answers: tuple[str | None, str | None],
    decided: tuple[Mapping[str, Said], Mapping[str, Said]],
    stages: Sequence[str],
    gone: dict[str, str],
) -> Change:
    problem_id, change = member.problem_id, member.change
    then, now = decided

    def because(stage: str, cause: str, before: str, after: str, detail: str = "") -> Change:
        return {
            "problem_id": problem_id, "change": change, "stage": stage, "cause": cause,
            "before": before, "after": after, "detail": detail, "moved_by": "",
        }  # fmt: skip

    by_people = (then.get(PEOPLE), now.get(PEOPLE))
    if by_people[1] and by_people[1].reason_code == Reason.WITHDRAWN and by_people[0] != by_people[1]:
        said = _cause(PEOPLE, *by_people)[1]  # a person's doing, even where its text is gone
        return because(PEOPLE, A_PERSON, _reason(by_people[0]), _reason(by_people[1]), said)
    if (answers[0] is None) != (answers[1] is None):
        before, after = ("absent" if one is None else "present" for one in answers)
        return because(FUNNEL[0], SOURCE, before, after, gone.get(problem_id, ""))
    if all(answers) and answers[0] != answers[1]:
        return because(FUNNEL[0], SOURCE, f"answer {answers[0]}", f"answer {answers[1]}")
    for stage in stages:
        a, b = then.get(stage), now.get(stage)
        if a != b and _counted(stage, a, change) != _counted(stage, b, change):
            cause, detail = _cause(stage, a, b)
            return because(stage, cause, _reason(a), _reason(b), detail)
    if change == RELABELLED:
        return because("tags", RULE, str(member.domain_a), str(member.domain_b))
    return because(FUNNEL[-1], THRESHOLD, str(member.weight_a), str(member.weight_b), "weights")


def _withdrawn(lake: Readable, changed: list[str]) -> dict[str, str]:
    """For changed problems of withdrawn sources, who withdrew which and why."""
    rows = lake.rows(
        "select problem_id, min(l.actor || ' withdrew ' || (l.evidence->>'$.source') || ': ' "
        "|| (l.evidence->>'$.reason')) as told from ledger l "
        f"semi join {CHANGED} using (problem_id) "
        f"where stage = '{PEOPLE}' and subject = 'source' group by 1",
        {"changed": " ".join(changed)},
    )
    return {row["problem_id"]: row["told"] for row in rows}


def _counted(stage: str, decision: Said | None, change: str) -> tuple[Any, ...]:
    """What of a decision counts: verdict and reason; for a problem that stayed in the set, the evidence as well, and the
    checkpoint that it comes from."""
    if decision is None:
        return ()
    said = (decision.verdict, decision.reason_code)
    if stage == PEOPLE:
        return (*said, decision.evidence)
    if change not in (MOVED, REWEIGHTED, RELABELLED):
        return said
    evidence = json.loads(decision.evidence or "{}")
    evidence.pop("rule", None)  # another version of a rule that says the same moved nothing
    return (*said, as_json(evidence), decision.checkpoint) if evidence else said


def _reason(decision: Said | None) -> str:
    return f"{decision.verdict}: {decision.reason_code}" if decision else "no decision"


def _cause(stage: str, a: Said | None, b: Said | None) -> tuple[str, str]:
    """What lies under two different decisions of one stage, and the two values of it."""
    actors = (a.actor if a else "", b.actor if b else "")
    if actors[0].startswith(PERSON) or actors[1].startswith(PERSON):
        return A_PERSON, " -> ".join(actors)
    if a and b and a.checkpoint != b.checkpoint:
        return CHECKPOINT, f"{a.checkpoint[:12]} -> {b.checkpoint[:12]}"
    if a and b and actors[0].partition(":")[0] != actors[1].partition(":")[0]:
        return RULE, " -> ".join(actors)
    if a and b and stage != FUNNEL[-1] and a.evidence != b.evidence and stage in ("difficulty", "guessability"):
        return SAMPLES, f"{a.evidence} -> {b.evidence}"
    if stage == "contamination":  # the same rule, held against other sets (their digest stands behind its name)
        return EVALUATION_SET, _evidence(a, b)
    if stage in ("duplicates", "ingest"):
        return SOURCE, _evidence(a, b)
    if a and b and a.parameters != b.parameters:
        return THRESHOLD, f"{a.parameters[:12]} -> {b.parameters[:12]}"
    return (DISPLACED, "") if stage == FUNNEL[-1] else (RULE, " -> ".join(actors))


def _evidence(*decisions: Said | None) -> str:
    return " -> ".join((one and one.evidence) or "{}" for one in decisions)


def _tell_who_moved(changes: list[Change], members: Sequence[Member]) -> None:
    """Give displaced problems the cause of those that went the other way: of their own domain first, else of all."""
    opposite = {ADDED: REMOVED, REMOVED: ADDED}
    domains = [member.domain for member in members]
    counted = Counter(
        (one["change"], domain, one["stage"], one["cause"]) for one, domain in zip(changes, domains, strict=True)
    )
    movers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (change, domain, stage, cause), n in counted.items():
        if cause != DISPLACED:
            for place in (domain, ""):
                movers[change, place][f"{stage}: {cause}"] += n
    told = {place: ", ".join(f"{cause} ({n})" for cause, n in by.most_common(2)) for place, by in movers.items()}
    for one, domain in zip(changes, domains, strict=True):
        if one["cause"] == DISPLACED and one["change"] in opposite:
            way = opposite[one["change"]]
            one["moved_by"] = told.get((way, domain)) or told.get((way, ""), "")
