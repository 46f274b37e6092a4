"""Coding problems on their way into a prompt set: each corpus row with a suite goes on to difficulty, guesses and selection.

Belongs here: one decision a problem that sums the branch up, for the funnel and `explain`. Does not belong here: the branch's
own decisions (the stages'), asking models (`curation/`).
"""

from __future__ import annotations

from kimi_pipeline.curation.scope import SUITED, UNIQUE, in_scope
from kimi_pipeline.ledger import IN_FORCE, KEEP, REFUSE, TEST_SUITES, record_query
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context

RULE = "test_suites@1"
STAGES = ("coding_problems", "test_case_generators", "test_cases", "output_checkers", "validated_test_suites")
SUMMED = f"""
    with own as (select problem_id, {SUITED} as suited from ({UNIQUE}) where answer_kind = 'code'),
         said as (
             select problem_id, stage, reason_code from ({IN_FORCE})
             where stage in {STAGES} and verdict = '{REFUSE}'
             qualify row_number() over (partition by problem_id order by list_position($stages, stage)) = 1
         ),
         suite as (
             select problem_id, any_value(reason_code) as reason_code from validated_suites
             where verdict = '{KEEP}' group by 1
         )
    select '' as prompt_set, '{TEST_SUITES}' as stage, o.problem_id, '' as subject,
           if(o.suited, '{KEEP}', '{REFUSE}') as verdict,
           coalesce(if(o.suited, v.reason_code, s.reason_code), '{Reason.NO_SUITE}') as reason_code,
           if(o.suited or s.stage is null, '{{}}', '{{"stage": "' || s.stage || '"}}') as evidence, '' as checkpoint
    from own o left join said s using (problem_id) left join suite v using (problem_id)
"""


def record_joining(context: Context) -> int:
    """Record the decision on each coding problem of the run's sources; returns how many changed."""
    return record_query(
        context.lake,
        SUMMED,
        in_scope(context) | {"stages": list(STAGES)},
        stages=[TEST_SUITES],
        parameters={"rule": RULE},
        actor=RULE,
        run_id=context.run_id,
    )
