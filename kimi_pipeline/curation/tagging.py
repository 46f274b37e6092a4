"""The tagging system [2.1]: domain and discipline of every problem, so that subjects can be balanced.

Belongs here: labels of the source where it gives any, else keyword rules. Does not belong here: refusing problems.
"""

from __future__ import annotations

import re

import pyarrow as pa

from kimi_pipeline import tables
from kimi_pipeline.curation.scope import unique_problems
from kimi_pipeline.lake import table_digest
from kimi_pipeline.shards import split_rows
from kimi_pipeline.stages import Context, Outcome, Stage

RULE = "tagging@1"
COLUMNS = "problem_id, prompt, domain, discipline, language, labels"
SHARD_ROWS = 20_000
FROM_SOURCE, FROM_RULES = "source", "rules"

KEYWORDS: tuple[tuple[str, str, str], ...] = (
    (
        "coding",
        "algorithms",
        r"\b(?:stdin|stdout|standard input|test cases?|time limit|array of|program that|function that)\b",
    ),
    (
        "mathematics",
        "geometry",
        r"\b(?:triangle|circle|radius|angle|polygon|perimeter|parallel|tangent|rectangle|square units)\b",
    ),
    ("mathematics", "number_theory", r"\b(?:divisible|remainder|prime|modulo|gcd|divisors?|digits?)\b|\\pmod|\\equiv"),
    (
        "mathematics",
        "probability",
        r"\b(?:probability|dice|coin|random|ways|permutations?|combinations?|how many different)\b",
    ),
    ("mathematics", "calculus", r"\b(?:derivative|integral|limit|sequence|converge)\b|\\int|\\lim|\\sum"),
    (
        "mathematics",
        "algebra",
        r"\b(?:polynomial|equation|roots?|function|solve for|inequality|real numbers?)\b|\bx\b|\\log",
    ),
    ("science", "physics", r"\b(?:velocity|acceleration|newtons?|voltage|mass of|wavelength|force)\b"),
    ("science", "chemistry", r"\b(?:moles?|molar|reaction|acid|electrons?|compound)\b"),
    (
        "mathematics",
        "arithmetic",
        r"\b(?:how (?:many|much)|total|each|cost|dollars?|hours?|percent)\b|\d\s*[-+*/]\s*\d",
    ),
)
_RULES = [(domain, discipline, re.compile(pattern, re.IGNORECASE)) for domain, discipline, pattern in KEYWORDS]


def tag(prompt: str) -> tuple[str, str, float]:
    """Domain, discipline and confidence by keywords: the discipline with the most hits, first listed on ties."""
    hits = [(len(pattern.findall(prompt)), -place) for place, (_, _, pattern) in enumerate(_RULES)]
    most, place = max(hits)
    if most == 0:
        return "general_reasoning", "other", 0.0
    domain, discipline, _ = _RULES[-place]
    return domain, discipline, most / sum(count for count, _ in hits)


def tag_shard(rows: pa.Table) -> pa.Table:
    """Tag rows of a shard with the columns of `COLUMNS`."""
    tagged = []
    for row in rows.to_pylist():
        if row["domain"]:
            found, origin = (row["domain"], row["discipline"] or "other", 1.0), FROM_SOURCE
        else:
            found, origin = tag(row["prompt"]), FROM_RULES
        tagged.append(
            {
                "problem_id": row["problem_id"],
                "domain": found[0],
                "discipline": found[1],
                "language": row["language"],
                "confidence": found[2],
                "origin": origin,
                "rule_version": RULE,
            }
        )
    names = [name for name in tables.TAGS.schema.names if name not in tables.TAGS.volatile]
    return pa.Table.from_pylist(tagged, schema=pa.schema([tables.TAGS.schema.field(name) for name in names]))


def tag_problems(context: Context) -> Outcome:
    """Tags for every problem of the run; equal tags are not written again."""

    def commit(rows: pa.Table) -> None:
        context.lake.upsert(tables.TAGS, rows, run_id=context.run_id, reason=f"tags under {RULE}")

    problems = unique_problems(context, COLUMNS)
    context.shards.map(tag_shard, split_rows(problems, SHARD_ROWS), commit)
    tags = context.lake.sql(
        "select t.problem_id, t.domain, t.discipline, t.language, t.confidence, t.origin from tags t "
        "semi join everything e using (problem_id)",
        everything=problems,
    )
    shares = context.lake.rows(
        "select domain, discipline, count(*) problems from found group by all order by 3 desc", found=tags
    )
    low = sum(1 for confidence in tags.column("confidence").to_pylist() if confidence < 0.5)
    return Outcome(
        data_version=table_digest(tags),
        figures={"problems": tags.num_rows, "disciplines": len(shares), "low_confidence": low},
        preview=shares[:12],
    )


TAGS = Stage(
    name="problem_tags",
    description="Tag every problem with its domain and discipline",
    group="curation",
    compute=tag_problems,
    upstream=("corpus", "duplicates"),
    code=(__name__,),
    tables=(tables.TAGS,),
    kinds=("python", "deltalake"),
)
