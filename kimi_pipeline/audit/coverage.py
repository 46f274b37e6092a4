"""Coverage: what the tagged corpus has of every subject, held against the target mix of a prompt set [2.1].

Belongs here: shares by tag and gaps by domain, for reading. Does not belong here: finding tags (`curation/tagging/`),
choosing problems to meet a mix (`curation/selection.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_pipeline.curation.taxonomy import taxonomy
from kimi_pipeline.lake import Lake

_FIT = """
    select t.problem_id, t.domain, t.discipline, t.language, t.confidence
    from problems p
    anti join duplicates d on p.source = d.source and p.source_row = d.source_row
    join tags t using (problem_id)
    semi join (select * from evaluability where verdict = 'keep') using (problem_id)
    semi join (select * from contamination where verdict = 'keep') using (problem_id)
    where len($sources) = 0 or p.source in (select unnest($sources))
    group by all
"""


def coverage(
    lake: Lake, mix: Mapping[str, float], size: int | None = None, sources: Sequence[str] = ()
) -> dict[str, Any]:
    """Problems that are unique, evaluable and clean, by tag; domains against their target share.

    `domains`: problems, share, target (None where the mix does not name the domain), gap (share less target) and missing
    (problems short of the target in a set of `size`; of all problems where size is None). `tags`: problems, share,
    mean confidence, Chinese ones. `absent`: tags of the taxonomy, in the mix's domains, without a problem. `largest`: the
    largest set that has the mix exactly (None without a mix).
    """
    rows = lake.rows(
        f"""
        select domain, discipline, count(*) problems, avg(confidence) confidence, count(*) filter (language = 'zh') chinese
        from ({_FIT}) group by all order by problems desc, domain, discipline
        """,
        {"sources": list(sources)},
    )
    total = sum(row["problems"] for row in rows)
    have = {domain: sum(r["problems"] for r in rows if r["domain"] == domain) for domain in {r["domain"] for r in rows}}
    wanted = size or total
    domains = [
        {
            "domain": domain,
            "problems": have.get(domain, 0),
            "share": round(have.get(domain, 0) / total, 4) if total else 0.0,
            "target": mix.get(domain),
            "gap": round(have.get(domain, 0) / total - mix[domain], 4) if total and domain in mix else None,
            "missing": max(0, math.ceil(mix[domain] * wanted) - have.get(domain, 0)) if domain in mix else None,
        }
        for domain in sorted({*have, *mix}, key=lambda name: (-have.get(name, 0), name))
    ]
    present = {(row["domain"], row["discipline"]) for row in rows}
    return {
        "problems": total,
        "domains": domains,
        "tags": [
            row | {"share": round(row["problems"] / total, 4), "confidence": round(row["confidence"], 3)}
            for row in rows
        ],
        "absent": [str(t) for t in taxonomy().tags if t.domain in mix and (t.domain, t.discipline) not in present],
        "largest": min((int(have.get(domain, 0) / share) for domain, share in mix.items() if share), default=None),
    }
