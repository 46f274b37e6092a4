"""The choice: which of the problems that passed every rule get a place in a set, and how often RL should draw them.

Belongs here: places of a target mix, the queue, weights, as functions over Arrow tables. Does not belong here: thresholds
(`decide.py`), reading and writing (`selection.py`).

Problems queue by a hash of seed and id, in a queue for each part of the mix. A problem's turn never changes, so that new
rows move only those at the end of their queues, and another seed draws another set. What a person keeps stands at the
head of its queue and has a place whatever the mix says; a licence that the set does not allow stays out even so.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from kimi_pipeline import database
from kimi_pipeline.curation.recipe import Recipe
from kimi_pipeline.reasons import Reason

ALL = ""  # the part that everything is in where the recipe has no mix of that kind
LEAST_WEIGHT = 0.05  # a problem that is always solved is still drawn now and then

Part = tuple[str, str]  # domain and difficulty bucket
CHOICE = f"""
    with parts as (
        select problem_id, licence, kept, if($by_domain, domain, '{ALL}') as domain, if($by_bucket, bucket, '{ALL}') as bucket
        from candidates
    ),
    queued as (
        select *, row_number() over (
            partition by domain, bucket order by kept desc, md5($seed || ':' || problem_id), problem_id
        ) as turn
        from parts where $any_licence or licence in (select unnest($licences))
    )
    select problem_id,
           case when kept or turn <= coalesce(p.places, 0) then '{Reason.SELECTED}'
                when $by_domain or $by_bucket then '{Reason.OVER_TARGET_MIX}' else '{Reason.OVER_MAX_SIZE}' end as reason
    from queued left join places p using (domain, bucket)
    union all
    select problem_id, '{Reason.LICENCE_NOT_ALLOWED}' from parts anti join queued using (problem_id)
"""
PARTS = f"""
    select if($by_domain, domain, '{ALL}') as domain, if($by_bucket, bucket, '{ALL}') as bucket, count(*) as problems
    from candidates where $any_licence or licence in (select unnest($licences)) group by all
"""


def choose(candidates: pa.Table, recipe: Recipe) -> pa.Table:
    """problem_id and reason (a place, or why there is none) of candidates with problem_id, domain, bucket, licence and
    kept (by a person)."""
    asked = {
        "by_domain": bool(recipe.mix),
        "by_bucket": bool(recipe.difficulty_mix),
        "any_licence": not recipe.licences,
        "licences": recipe.licences,
    }
    with database.connection() as db:
        db.register("candidates", candidates)
        present = {(domain, bucket): count for domain, bucket, count in db.sql(PARTS, params=asked).fetchall()}
        by_bucket = {str(bucket): share for bucket, share in recipe.difficulty_mix.items()}
        found = places(present, recipe.mix, by_bucket, recipe.max_size)
        columns = [[part[0] for part in found], [part[1] for part in found], list(found.values())]
        types = (pa.string(), pa.string(), pa.int64())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        db.register("places", pa.table(arrays, names=["domain", "bucket", "places"]))
        return db.sql(CHOICE, params=asked | {"seed": str(recipe.seed)}).to_arrow_table()


def places(
    present: Mapping[Part, int], mix: Mapping[str, float], difficulty_mix: Mapping[str, float], most: int | None
) -> dict[Part, int]:
    """How many places each part has.

    The mix of domains is kept to: the set is as large as the scarcest of its domains allows. Within a domain the mix of
    difficulty is kept to as far as its problems go: what one bucket lacks, the others of the mix get. Parts outside a mix
    have no place.
    """
    total = sum(present.values()) if most is None else min(most, sum(present.values()))
    of_domain: dict[str, dict[str, int]] = {}
    for (domain, bucket), count in present.items():
        if (not mix or mix.get(domain)) and (not difficulty_mix or difficulty_mix.get(bucket)):
            of_domain.setdefault(domain, {})[bucket] = count
    wanted = {domain: share / sum(mix.values()) for domain, share in mix.items() if share} if mix else {ALL: 1.0}
    total = min(
        [total, *(int(sum(of_domain.get(domain, {}).values()) / share + 1e-9) for domain, share in wanted.items())]
    )
    found: dict[Part, int] = {}
    for domain, count in rounded(total, wanted).items():
        for bucket, number in _filled(count, of_domain.get(domain, {}), difficulty_mix).items():
            found[domain, bucket] = number
    return found


def _filled(count: int, present: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """`count` places among buckets by their shares, none more than it has problems."""
    found = dict.fromkeys(present, 0)
    open_ = {bucket: shares[bucket] if shares else 1.0 for bucket in present}
    while open_ and (left := count - sum(found.values())) > 0:
        for bucket, number in rounded(left, open_).items():
            found[bucket] = min(present[bucket], found[bucket] + number)
        open_ = {bucket: share for bucket, share in open_.items() if found[bucket] < present[bucket]}
    return found


def rounded(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`total` split by shares into whole numbers that add up to it: the largest remainders are rounded up."""
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    found = {name: int(value + 1e-9) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (found[name] - exact[name], name))[: total - sum(found.values())]:
        found[name] += 1
    return found
