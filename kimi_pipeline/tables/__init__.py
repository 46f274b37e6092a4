"""The data model: every table of the lake, its columns, its key and its schema version.

Belongs here: declarations, a module a room of the house. Does not belong here: reading and writing (`lake.py`), who
fills a table (its stage).
"""

from __future__ import annotations

from kimi_pipeline.tables.corpus import EVALUATION_PROBLEMS, PROBLEMS, QUARANTINE, SOURCE_READS
from kimi_pipeline.tables.curation import (
    CONTAMINATION,
    DIFFICULTY,
    DUPLICATES,
    ERASURES,
    EVALUABILITY,
    GUESSABILITY,
    MODEL_LABELS,
    PEOPLE,
    REFERENCE_CHECKS,
    REVIEW,
    RICH_REASONING,
    TAGS,
    WITHDRAWALS,
)
from kimi_pipeline.tables.declare import Table
from kimi_pipeline.tables.lineage import LEDGER, PROMOTIONS, PROMPT_SET, PROMPT_SET_VERSIONS, RESULTS, STAGES
from kimi_pipeline.tables.nights import ESTIMATES, NIGHTS, VERSION_CHECKS
from kimi_pipeline.tables.rewards import REWARD_MODEL_CORPUS, REWARD_MODEL_JUDGEMENTS, REWARD_PARTS
from kimi_pipeline.tables.rl import REWARD_WATCH, ROLLOUTS, SEGMENTS, SUCCESS_RATES
from kimi_pipeline.tables.sampling import SAMPLES
from kimi_pipeline.tables.spot_checks import SPOT_CHECKS
from kimi_pipeline.tables.testcases import (
    CODING_PROBLEMS,
    MUTANTS,
    OUTPUT_CHECKERS,
    SUBMISSION_RUNS,
    SUITE_CASES,
    SUITE_STRENGTH,
    TEST_CASE_GENERATORS,
    TEST_CASES,
    VALIDATED_SUITES,
)

__all__ = [
    "CODING_PROBLEMS",
    "CONTAMINATION",
    "DIFFICULTY",
    "DUPLICATES",
    "ERASURES",
    "ESTIMATES",
    "EVALUABILITY",
    "EVALUATION_PROBLEMS",
    "GUESSABILITY",
    "LEDGER",
    "MODEL_LABELS",
    "MUTANTS",
    "NIGHTS",
    "OUTPUT_CHECKERS",
    "PEOPLE",
    "PROBLEMS",
    "PROMOTIONS",
    "PROMPT_SET",
    "PROMPT_SET_VERSIONS",
    "QUARANTINE",
    "REFERENCE_CHECKS",
    "RESULTS",
    "REVIEW",
    "REWARD_MODEL_CORPUS",
    "REWARD_MODEL_JUDGEMENTS",
    "REWARD_PARTS",
    "REWARD_WATCH",
    "RICH_REASONING",
    "ROLLOUTS",
    "SAMPLES",
    "SEGMENTS",
    "SOURCE_READS",
    "SPOT_CHECKS",
    "STAGES",
    "SUBMISSION_RUNS",
    "SUCCESS_RATES",
    "SUITE_CASES",
    "SUITE_STRENGTH",
    "TABLES",
    "TAGS",
    "TEST_CASES",
    "TEST_CASE_GENERATORS",
    "VALIDATED_SUITES",
    "VERSION_CHECKS",
    "WITHDRAWALS",
    "Table",
]

TABLES: dict[str, Table] = {value.name: value for value in list(globals().values()) if isinstance(value, Table)}
