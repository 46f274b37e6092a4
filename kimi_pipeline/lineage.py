"""The lineage: all stages in the order in which they depend on each other.

Belongs here: the list. Does not belong here: what a stage does (its own module), how it is scheduled (`assets/`).
"""

from __future__ import annotations

from kimi_pipeline.corpora.evaluation_sets import EVALUATION_PROBLEMS
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.curation.accounts import DECISION_LEDGER
from kimi_pipeline.curation.contamination import CONTAMINATION
from kimi_pipeline.curation.difficulty import DIFFICULTY
from kimi_pipeline.curation.duplicates import DUPLICATES
from kimi_pipeline.curation.evaluability import EVALUABILITY
from kimi_pipeline.curation.guessability import GUESSABILITY
from kimi_pipeline.curation.people import PEOPLE_DECISIONS
from kimi_pipeline.curation.reference_checks import REFERENCE_CHECKS
from kimi_pipeline.curation.rich_reasoning import RICH_REASONING
from kimi_pipeline.curation.selection import RL_PROMPT_SET
from kimi_pipeline.curation.tagging import TAGGER, TAGS
from kimi_pipeline.evaluation.stage import EVALUATION
from kimi_pipeline.reward_models.corpus import REWARD_MODEL_CORPUS
from kimi_pipeline.reward_models.stages import CLASSIC_REWARD_MODEL, COT_REWARD_MODEL, REWARD_MODEL_EVALUATION
from kimi_pipeline.rl.stage import RL_CHECKPOINT
from kimi_pipeline.stages import Stage
from kimi_pipeline.testcases.cases import TEST_CASES
from kimi_pipeline.testcases.checkers import OUTPUT_CHECKERS
from kimi_pipeline.testcases.collecting import CODING_PROBLEMS
from kimi_pipeline.testcases.generators import TEST_CASE_GENERATORS
from kimi_pipeline.testcases.power import SUITE_STRENGTH
from kimi_pipeline.testcases.suites import VALIDATED_TEST_SUITES
from kimi_pipeline.training.stages import BASE_CHECKPOINT, SFT_CHECKPOINT, SFT_CORPUS

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        CORPUS,
        EVALUATION_PROBLEMS,
        DUPLICATES,
        PEOPLE_DECISIONS,
        TAGGER,
        TAGS,
        EVALUABILITY,
        CONTAMINATION,
        RICH_REASONING,
        BASE_CHECKPOINT,
        SFT_CORPUS,
        SFT_CHECKPOINT,
        CODING_PROBLEMS,
        TEST_CASE_GENERATORS,
        TEST_CASES,
        OUTPUT_CHECKERS,
        VALIDATED_TEST_SUITES,
        SUITE_STRENGTH,
        DIFFICULTY,
        REFERENCE_CHECKS,
        GUESSABILITY,
        RL_PROMPT_SET,
        DECISION_LEDGER,
        REWARD_MODEL_CORPUS,
        CLASSIC_REWARD_MODEL,
        COT_REWARD_MODEL,
        REWARD_MODEL_EVALUATION,
        RL_CHECKPOINT,
        EVALUATION,
    )
}
