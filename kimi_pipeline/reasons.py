"""Reason codes: why a row or a problem is kept, refused or changed. Every code the project writes is listed here.

Belongs here: codes and one line of meaning each. Does not belong here: the rules that give them.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason code, as tables store it; `meaning` is what people read."""

    # ingest: rows that can't become a problem go to quarantine
    NORMALISED = "normalised"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    INVALID_CSV = "invalid_csv"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_PROMPT = "missing_prompt"
    EMPTY_PROMPT = "empty_prompt"
    MISSING_ANSWER = "missing_answer"
    NO_FINAL_ANSWER = "no_final_answer"
    WRONG_TYPE = "wrong_type"
    TOO_LONG = "too_long"
    DUPLICATE_SOURCE_ID = "duplicate_source_id"
    # ... and rows that can't be turned into free form
    NO_OPTIONS = "no_options"
    STEM_NEEDS_OPTIONS = "stem_needs_options"
    ANSWER_IS_NO_OPTION = "answer_is_no_option"
    OPTION_IS_NO_VALUE = "option_is_no_value"
    OPTION_IS_ROUNDED = "option_is_rounded"
    # duplicates
    UNIQUE = "unique"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    # people: decisions that outrank rules
    KEPT_BY_PERSON = "kept_by_person"
    BANNED_BY_PERSON = "banned_by_person"
    WITHDRAWN = "withdrawn"
    RELABELLED_TAG = "relabelled_tag"
    RELABELLED_ANSWER = "relabelled_answer"
    DECISION_ENDED = "decision_ended"
    # evaluability [2.1]
    EVALUABLE = "evaluable"
    MULTIPLE_CHOICE = "multiple_choice"
    TRUE_FALSE = "true_false"
    PROOF = "proof"
    MULTI_PART = "multi_part"
    OPEN_ENDED = "open_ended"
    MISSING_FIGURE = "missing_figure"
    UNVERIFIABLE_ANSWER = "unverifiable_answer"
    COSTLY_REFERENCE = "costly_reference"
    # contamination
    CLEAN = "clean"
    EVALUATION_COPY = "evaluation_copy"
    EVALUATION_OVERLAP = "evaluation_overlap"
    EVALUATION_REWORDING = "evaluation_rewording"
    # rich reasoning [2.1]
    RICH_REASONING = "rich_reasoning"
    TOO_FEW_STEPS = "too_few_steps"
    # difficulty [2.1]
    SOLVABLE = "solvable"
    UNSOLVED = "unsolved"
    TRIVIAL = "trivial"
    HOPELESS = "hopeless"
    CUT_SHORT = "cut_short"
    NO_VERDICT = "no_verdict"
    # reference checks
    UNDISPUTED = "undisputed"
    SUSPECT_REFERENCE = "suspect_reference"
    REFERENCE_CONFIRMED = "reference_confirmed"
    REFERENCE_CORRECTED = "reference_corrected"
    REFERENCE_REFUSED = "reference_refused"
    # guessability [2.1]
    NOT_GUESSED = "not_guessed"
    EASY_TO_HACK = "easy_to_hack"
    NOT_FILTERED = "not_filtered"
    # review: questions to a person
    LOW_CONFIDENCE = "low_confidence"
    UNKNOWN_LABEL = "unknown_label"
    UNASKED = "unasked"
    SPOT_CHECK = "spot_check"
    # samples made elsewhere
    UNKNOWN_PROBLEM = "unknown_problem"
    NO_RESPONSE = "no_response"
    # re-estimation: why a prompt's estimate is stale
    NEVER_SAMPLED = "never_sampled"
    NEW_CHECKPOINT = "new_checkpoint"
    NEW_TEMPLATE = "new_template"
    NEAR_THRESHOLD = "near_threshold"
    SAMPLED_LONG_AGO = "sampled_long_ago"
    # ... and what becomes of a version that a night has cut
    WITHIN_LIMITS = "within_limits"
    FIRST_VERSION = "first_version"
    RATES_SHIFTED = "rates_shifted"
    BUCKETS_MOVED = "buckets_moved"
    SIZE_CHANGED = "size_changed"
    # selection
    SELECTED = "selected"
    OVER_TARGET_MIX = "over_target_mix"
    OVER_MAX_SIZE = "over_max_size"
    LICENCE_NOT_ALLOWED = "licence_not_allowed"
    # coding problems: before any run [2.3.5]
    CODING_PROBLEM = "coding_problem"
    SPECIAL_JUDGE = "special_judge"
    NEEDS_CHECKER = "needs_checker"
    NO_SUBMISSIONS = "no_submissions"
    TOO_FEW_SUBMISSIONS = "too_few_submissions"
    NO_CONSTRAINTS = "no_constraints"
    # ... generators and their inputs
    GENERATOR_READY = "generator_ready"
    NO_GENERATOR = "no_generator"
    NOT_A_PROGRAM = "not_a_program"
    FORBIDDEN_IMPORT = "forbidden_import"
    GENERATED = "generated"
    GENERATOR_CRASHED = "generator_crashed"
    GENERATOR_TIMEOUT = "generator_timeout"
    GENERATOR_MEMORY = "generator_memory"
    GENERATOR_TOO_LARGE = "generator_too_large"
    EMPTY_INPUT = "empty_input"
    INPUT_NOT_UTF8 = "input_not_utf8"
    DUPLICATE_INPUT = "duplicate_input"
    BREAKS_CONSTRAINTS = "breaks_constraints"
    TOO_FEW_CASES = "too_few_cases"
    # ... checkers of problems that need a special judge
    CHECKER_READY = "checker_ready"
    NO_CHECKER = "no_checker"
    CHECKER_FAILED = "checker_failed"
    CHECKER_TOO_STRICT = "checker_too_strict"
    CHECKER_TOO_LAX = "checker_too_lax"
    CHECKER_UNPROVEN = "checker_unproven"
    # ... agreement and suites
    VALID_CASE = "valid_case"
    SUBMISSIONS_DISAGREE = "submissions_disagree"
    SUBMISSIONS_FAIL = "submissions_fail"
    OUTPUTS_TIE = "outputs_tie"
    TOO_FEW_PASS = "too_few_pass"
    NOT_COMPILED = "not_compiled"
    VALIDATED = "validated"
    READMITTED = "readmitted"
    BY_CONSTRUCTION = "by_construction"
    NO_SUITE = "no_suite"
    NO_SANDBOX = "no_sandbox"

    @property
    def meaning(self) -> str:
        return MEANINGS[self]


MEANINGS: dict[Reason, str] = {
    Reason.NORMALISED: "the row became a problem",
    Reason.INVALID_UTF8: "the row's bytes are not UTF-8",
    Reason.INVALID_JSON: "the line is not JSON",
    Reason.INVALID_CSV: "the record's fields don't fit the header, or its quotes don't close",
    Reason.NOT_AN_OBJECT: "the row is not a set of named fields",
    Reason.MISSING_PROMPT: "the prompt's field is absent or null",
    Reason.EMPTY_PROMPT: "the prompt holds white space only",
    Reason.MISSING_ANSWER: "the answer is absent, null, NaN or white space",
    Reason.NO_FINAL_ANSWER: "the worked solution holds no answer in the format that its source declares",
    Reason.WRONG_TYPE: "a field holds something other than text or a number",
    Reason.TOO_LONG: "prompt or answer is longer than corpora.max_text_bytes, or the row than corpora.max_row_bytes",
    Reason.DUPLICATE_SOURCE_ID: "an earlier row of the source has the same id",
    Reason.NO_OPTIONS: "no list of options: there is nothing to turn into free form",
    Reason.STEM_NEEDS_OPTIONS: "the question can't be answered without its options, so it is not turned into free form",
    Reason.ANSWER_IS_NO_OPTION: "the answer names none of the options, or several say the same",
    Reason.OPTION_IS_NO_VALUE: "the right option is a text or a relation, which rules can't compare in free form",
    Reason.OPTION_IS_ROUNDED: "the right option may be rounded, and the question doesn't say how: an exact answer would be wrong",
    Reason.UNIQUE: "a row that stands for its problem",
    Reason.EXACT_DUPLICATE: "the row that stands for the problem has the same normalised content",
    Reason.NEAR_DUPLICATE: "the row that stands for the problem says the same in other words, with the same numbers",
    Reason.KEPT_BY_PERSON: "a person decided that the problem stays, whatever rules say",
    Reason.BANNED_BY_PERSON: "a person decided that the problem goes, whatever rules say",
    Reason.WITHDRAWN: "the problem or its source may be used no more",
    Reason.RELABELLED_TAG: "a person gave the problem another tag",
    Reason.RELABELLED_ANSWER: "a person gave the problem another answer, which takes the source's place",
    Reason.DECISION_ENDED: "a person's decision has run out or was lifted: the rules decide again",
    Reason.EVALUABLE: "one exact answer that rules can check",
    Reason.MULTIPLE_CHOICE: "multiple-choice: right by luck too often",
    Reason.TRUE_FALSE: "true/false or yes/no: right by luck too often",
    Reason.PROOF: "asks for a proof: no answer to check",
    Reason.MULTI_PART: "asks several things: one reward can't say which of them was right",
    Reason.OPEN_ENDED: "asks for a text or a drawing: many answers are right, or none can be compared",
    Reason.MISSING_FIGURE: "speaks of a figure or table that the row does not have",
    Reason.UNVERIFIABLE_ANSWER: "the verifier would not accept the reference itself as an answer",
    Reason.COSTLY_REFERENCE: "reading the reference alone exceeds the verifier's deadline or memory",
    Reason.CLEAN: "in no evaluation set",
    Reason.EVALUATION_COPY: "a copy of a problem of an evaluation set",
    Reason.EVALUATION_OVERLAP: "most of a problem of an evaluation set is in it, or it is a piece of one",
    Reason.EVALUATION_REWORDING: "a problem of an evaluation set in other words, with the same numbers",
    Reason.RICH_REASONING: "needs as many steps of reasoning as curation.min_steps asks for, by its text or a model's word",
    Reason.TOO_FEW_STEPS: "needs fewer steps of reasoning than curation.min_steps, by its text or a model's word",
    Reason.SOLVABLE: "pass rate between the set's thresholds",
    Reason.UNSOLVED: "no sample was right; kept as hard, since the set keeps unsolved problems",
    Reason.TRIVIAL: "pass rate at or above the set's upper threshold",
    Reason.HOPELESS: "pass rate at or below the set's lower threshold",
    Reason.CUT_SHORT: "no sample was right and most were cut at curation.max_tokens: raise it to rate the problem",
    Reason.UNDISPUTED: "neither samples nor another source speak against the answer",
    Reason.SUSPECT_REFERENCE: "samples or sources agree on another answer: a person must decide",
    Reason.REFERENCE_CONFIRMED: "a person decided that the answer is right",
    Reason.REFERENCE_CORRECTED: "a person gave the right answer, which takes the source's place",
    Reason.REFERENCE_REFUSED: "a person decided that the problem goes",
    Reason.NO_VERDICT: "no sample got a verdict, so the pass rate is unknown",
    Reason.NOT_GUESSED: "no guess without reasoning was right",
    Reason.EASY_TO_HACK: "a guess without reasoning was right within the allowed attempts",
    Reason.NOT_FILTERED: "the set's recipe does not apply this filter",
    Reason.LOW_CONFIDENCE: "the rule or model is not sure enough: a person decides",
    Reason.UNKNOWN_LABEL: "the source names a subject that the taxonomy does not have",
    Reason.UNASKED: "a person decided without being asked",
    Reason.SPOT_CHECK: "drawn to see how often a judge is right",
    Reason.UNKNOWN_PROBLEM: "no problem of the lake has the row's id, or its prompt",
    Reason.NO_RESPONSE: "the row holds no response where its format has one",
    Reason.NEVER_SAMPLED: "no answer of the prompt has been counted yet",
    Reason.NEW_CHECKPOINT: "the estimate in force is another checkpoint's",
    Reason.NEW_TEMPLATE: "the estimate in force was made with another wording of the prompt",
    Reason.NEAR_THRESHOLD: "more answers would well change what is decided on it, or its difficulty bucket",
    Reason.SAMPLED_LONG_AGO: "its newest answer is older than nights.older_than_days",
    Reason.WITHIN_LIMITS: "the version differs from the current one by no more than the limits of the nights",
    Reason.FIRST_VERSION: "the set had no current version to differ from",
    Reason.RATES_SHIFTED: "the mean shift of its re-estimated members' pass rates is beyond nights.max_mean_shift",
    Reason.BUCKETS_MOVED: "more members changed their bucket than chance explains, by more than nights.max_moved_share",
    Reason.SIZE_CHANGED: "its size differs by more than nights.max_size_change",
    Reason.SELECTED: "in the set",
    Reason.LICENCE_NOT_ALLOWED: "its licence is not among those that the set's recipe allows",
    Reason.OVER_TARGET_MIX: "its domain, or its difficulty in the domain, is already at its share of the target mix",
    Reason.OVER_MAX_SIZE: "the set is full",
    Reason.CODING_PROBLEM: "one right output an input, with submissions to agree on it",
    Reason.SPECIAL_JUDGE: "the statement allows several right outputs, so agreement says nothing",
    Reason.NEEDS_CHECKER: "several outputs may be right, and testcases.special_judge lets a checker judge them",
    Reason.NO_SUBMISSIONS: "no accepted submission to take outputs from",
    Reason.TOO_FEW_SUBMISSIONS: "fewer accepted submissions than testcases.few_submissions allows",
    Reason.NO_CONSTRAINTS: "the statement bounds nothing and no validator is given: no input can be called valid",
    Reason.GENERATOR_READY: "a generator is there, and it is a program with allowed imports",
    Reason.NO_GENERATOR: "none comes with the problem and testcases.writer is none",
    Reason.NOT_A_PROGRAM: "no Python program could be read from the text",
    Reason.FORBIDDEN_IMPORT: "the program imports what it needs not (files, network, clocks, processes)",
    Reason.GENERATED: "an input within the stated constraints",
    Reason.GENERATOR_CRASHED: "the generator ended with an error",
    Reason.GENERATOR_TIMEOUT: "the generator exceeded its time",
    Reason.GENERATOR_MEMORY: "the generator exceeded its memory",
    Reason.GENERATOR_TOO_LARGE: "the generator printed more than an input may hold, or left more files than it may",
    Reason.EMPTY_INPUT: "the generator printed nothing",
    Reason.INPUT_NOT_UTF8: "the generator printed bytes that are not UTF-8",
    Reason.DUPLICATE_INPUT: "an earlier case of the problem has the same input",
    Reason.BREAKS_CONSTRAINTS: "the validator refuses the input: it breaks the stated constraints",
    Reason.TOO_FEW_CASES: "the generator gave fewer inputs than a suite needs",
    Reason.CHECKER_READY: "a checker is there; on a few inputs it accepts what submissions print and refuses an empty output",
    Reason.NO_CHECKER: "several outputs may be right, no checker comes with the problem and testcases.writer is none",
    Reason.CHECKER_FAILED: "on most of the submissions' outputs that it does not accept, the checker ends without a verdict",
    Reason.CHECKER_TOO_STRICT: "the checker refuses so many outputs of accepted submissions that too few agree or pass",
    Reason.CHECKER_TOO_LAX: "the checker accepts an empty output, or all that a wrong submission prints",
    Reason.CHECKER_UNPROVEN: "no wrong submission printed an output that the checker refused: nothing shows that it rejects",
    Reason.VALID_CASE: "enough submissions ended well with the same output",
    Reason.SUBMISSIONS_DISAGREE: "submissions ended well, with different outputs",
    Reason.SUBMISSIONS_FAIL: "too few submissions ended well for any agreement",
    Reason.OUTPUTS_TIE: "two outputs have equally many submissions behind them",
    Reason.TOO_FEW_PASS: "too few submissions pass every valid case",
    Reason.NOT_COMPILED: "fewer drawn submissions compile than must agree on an output",
    Reason.BY_CONSTRUCTION: "the right outputs are known from how the problem was made",
    Reason.NO_SUITE: "a coding problem without a validated test suite: its last coding stage says why",
    Reason.VALIDATED: "enough valid cases, and enough submissions pass them all",
    Reason.READMITTED: "validated with a checker, which accepts what submissions print and rejects known wrong outputs",
    Reason.NO_SANDBOX: "no sandbox backend works here, so nothing untrusted was run",
}


def table() -> list[dict[str, str]]:
    """All codes with their meaning, for documentation and `kimi-pipeline explain`."""
    return [{"reason_code": str(reason), "meaning": reason.meaning} for reason in Reason]
