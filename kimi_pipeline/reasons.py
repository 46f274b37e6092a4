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
    # duplicates
    UNIQUE = "unique"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    # evaluability [2.1]
    EVALUABLE = "evaluable"
    MULTIPLE_CHOICE = "multiple_choice"
    TRUE_FALSE = "true_false"
    PROOF = "proof"
    MULTI_PART = "multi_part"
    OPEN_ENDED = "open_ended"
    MISSING_FIGURE = "missing_figure"
    UNVERIFIABLE_ANSWER = "unverifiable_answer"
    # contamination
    CLEAN = "clean"
    EVALUATION_COPY = "evaluation_copy"
    EVALUATION_OVERLAP = "evaluation_overlap"
    EVALUATION_REWORDING = "evaluation_rewording"
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
    # selection
    SELECTED = "selected"
    OVER_TARGET_MIX = "over_target_mix"
    OVER_MAX_SIZE = "over_max_size"
    LICENCE_NOT_ALLOWED = "licence_not_allowed"

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
    Reason.UNIQUE: "a row that stands for its problem",
    Reason.EXACT_DUPLICATE: "the row that stands for the problem has the same normalised content",
    Reason.NEAR_DUPLICATE: "the row that stands for the problem says the same in other words, with the same numbers",
    Reason.EVALUABLE: "one exact answer that rules can check",
    Reason.MULTIPLE_CHOICE: "multiple-choice: right by luck too often",
    Reason.TRUE_FALSE: "true/false or yes/no: right by luck too often",
    Reason.PROOF: "asks for a proof: no answer to check",
    Reason.MULTI_PART: "asks several things: one reward can't say which of them was right",
    Reason.OPEN_ENDED: "asks for a text or a drawing: many answers are right, or none can be compared",
    Reason.MISSING_FIGURE: "speaks of a figure or table that the row does not have",
    Reason.UNVERIFIABLE_ANSWER: "the verifier would not accept the reference itself as an answer",
    Reason.CLEAN: "in no evaluation set",
    Reason.EVALUATION_COPY: "a copy of a problem of an evaluation set",
    Reason.EVALUATION_OVERLAP: "most of a problem of an evaluation set is in it, or it is a piece of one",
    Reason.EVALUATION_REWORDING: "a problem of an evaluation set in other words, with the same numbers",
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
    Reason.SELECTED: "in the set",
    Reason.LICENCE_NOT_ALLOWED: "its licence is not among those that the set's recipe allows",
    Reason.OVER_TARGET_MIX: "its domain, or its difficulty in the domain, is already at its share of the target mix",
    Reason.OVER_MAX_SIZE: "the set is full",
}


def table() -> list[dict[str, str]]:
    """All codes with their meaning, for documentation and `kimi-pipeline explain`."""
    return [{"reason_code": str(reason), "meaning": reason.meaning} for reason in Reason]
