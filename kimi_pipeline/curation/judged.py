"""What a set's recipe says of every problem: its figures, its difficulty bucket, the verdicts of the two filters.

Belongs here: those as one Arrow table, a row a problem that passed all that needs no recipe. Does not belong here: the
rules themselves (`decide.py`), who gets a place (`choosing.py`), writing (`selection.py`).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from kimi_pipeline.curation.decide import KEPT, Figures, bucket, decide_difficulty, decide_guessability
from kimi_pipeline.curation.estimates import none
from kimi_pipeline.curation.people import KEPT_BY_PEOPLE
from kimi_pipeline.curation.recipe import Recipe
from kimi_pipeline.curation.scope import FIT
from kimi_pipeline.lake import Lake
from kimi_pipeline.ledger import KEEP
from kimi_pipeline.reasons import Reason

FIGURES = f"""
    select u.problem_id, u.licence, coalesce(t.domain, 'unknown') as domain, coalesce(d.n, 0) n,
           coalesce(d.correct, 0) correct, coalesce(d.cut, 0) cut, g.hit_at, g.hit_sample_id,
           m.problem_id is not null as kept,
           coalesce(rated.checkpoint, $rated_by) rated_by, coalesce(guessed.checkpoint, $guessed_by) guessed_by
    from (select * from {FIT}) u
    left join {KEPT_BY_PEOPLE} m using (problem_id)
    join (
        select problem_id, verdict as reference from reference_checks
        where checkpoint = $rated_by and template = $rated_in
    ) r using (problem_id)
    left join (select problem_id, domain from tags) t using (problem_id)
    left join rated using (problem_id)
    left join difficulty d on d.problem_id = u.problem_id and d.checkpoint = coalesce(rated.checkpoint, $rated_by)
        and d.template = coalesce(rated.template, $rated_in)
    left join guessed using (problem_id)
    left join guessability g on g.problem_id = u.problem_id and g.checkpoint = coalesce(guessed.checkpoint, $guessed_by)
        and g.template = coalesce(guessed.template, $guessed_in)
    where r.reference = '{KEEP}' or m.problem_id is not null
"""

JUDGED = """
    select f.*, r.bucket, r.pass_rate, if(kept and not r.passed, $kept, r.rated) as rated, r.passed or kept as passed,
           case when not r.passed and not kept then null when not $guessing then $not_filtered
                when hit_at is not null then if(kept, $kept, $hit) else $no_hit end as guessed
    from figures f join rules r using (n, correct, cut)
"""

RULES = pa.schema(
    [(name, pa.int64()) for name in ("n", "correct", "cut")]
    + [("bucket", pa.string()), ("pass_rate", pa.float64()), ("rated", pa.string()), ("passed", pa.bool_())]
)


def judged_problems(
    lake: Lake, recipe: Recipe, asked: dict[str, Any], rated: pa.Table | None = None, guessed: pa.Table | None = None
) -> pa.Table:
    """Columns problem_id, licence, domain, n, correct, cut, hit_at, hit_sample_id, rated_by and guessed_by (checkpoints),
    bucket, pass_rate, rated and guessed (reason codes), passed (the first filter), kept (by a person, which outranks
    both). No texts, so that a million rows are few bytes. `asked`: the parameters of `FIGURES`: sources, and by whom and
    in which template the stages rated and guessed. `rated` and `guessed`: estimates that stand in for the stages'
    (`estimates.in_force`).

    The rules of `decide.py` are asked once for each combination of counts that occurs.
    """
    made_again = {"rated": none() if rated is None else rated, "guessed": none() if guessed is None else guessed}
    figures = lake.sql(FIGURES, asked, **made_again)
    rules = []
    for row in lake.rows("select distinct n, correct, cut from figures", figures=figures):
        found = Figures("", "", row["n"], row["correct"], None, row["cut"])
        rated = decide_difficulty(found, recipe) if "difficulty" in recipe.filters else Reason.NOT_FILTERED
        said = {"bucket": bucket(found.pass_rate), "pass_rate": found.pass_rate}
        rules.append(row | said | {"rated": str(rated), "passed": rated in KEPT})
    hit, no_hit = (decide_guessability(Figures("", "", 0, 0, at)) for at in (1, None))
    codes = {"hit": str(hit), "no_hit": str(no_hit), "not_filtered": str(Reason.NOT_FILTERED)}
    codes["kept"] = str(Reason.KEPT_BY_PERSON)
    guessing = "guessability" in recipe.filters
    table = pa.Table.from_pylist(rules, schema=RULES)
    return lake.sql(JUDGED, {"guessing": guessing, **codes}, figures=figures, rules=table)
