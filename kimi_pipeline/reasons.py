"""Reason codes: why a row or a problem is kept, refused or changed. Every code the project writes is listed here.

Belongs here: codes and one line of meaning each. Does not belong here: the rules that give them.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason code; `meaning` is what people read."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    # ingest: rows that can't become a problem go to quarantine
    NORMALISED = "normalised", "the row became a problem"
    INVALID_UTF8 = "invalid_utf8", "the row's bytes are not UTF-8"
    INVALID_JSON = "invalid_json", "the line is not JSON"
    NOT_AN_OBJECT = "not_an_object", "the row is not a set of named fields"
    MISSING_PROMPT = "missing_prompt", "the prompt's field is absent or null"
    EMPTY_PROMPT = "empty_prompt", "the prompt holds white space only"
    MISSING_ANSWER = "missing_answer", "the answer is absent, null or white space"
    WRONG_TYPE = "wrong_type", "a field holds something other than text or a number"
    TOO_LONG = "too_long", "prompt or answer is longer than corpora.max_text_bytes"
    DUPLICATE_SOURCE_ID = "duplicate_source_id", "an earlier row of the source has the same id"
    # duplicates
    UNIQUE = "unique", "no earlier row has the same normalised content"
    EXACT_DUPLICATE = "exact_duplicate", "an earlier row has the same normalised content"
    # evaluability [2.1]
    EVALUABLE = "evaluable", "one exact answer that rules can check"
    MULTIPLE_CHOICE = "multiple_choice", "multiple-choice: right by luck too often"
    TRUE_FALSE = "true_false", "true/false or yes/no: right by luck too often"
    PROOF = "proof", "asks for a proof: no answer to check"
    # contamination
    CLEAN = "clean", "in no evaluation set"
    EVALUATION_COPY = "evaluation_copy", "a copy of a problem of an evaluation set"
    # difficulty [2.1]
    SOLVABLE = "solvable", "pass rate between the set's thresholds"
    UNSOLVED = "unsolved", "no sample was right; kept as hard, since the set keeps unsolved problems"
    TRIVIAL = "trivial", "pass rate at or above the set's upper threshold"
    HOPELESS = "hopeless", "pass rate at or below the set's lower threshold"
    NO_VERDICT = "no_verdict", "no sample got a verdict, so the pass rate is unknown"
    # guessability [2.1]
    NOT_GUESSED = "not_guessed", "no guess without reasoning was right"
    EASY_TO_HACK = "easy_to_hack", "a guess without reasoning was right within the allowed attempts"
    NOT_FILTERED = "not_filtered", "the set's recipe does not apply this filter"
    # selection
    SELECTED = "selected", "in the set"
    OVER_TARGET_MIX = "over_target_mix", "its domain is already at its share of the target mix"
    OVER_MAX_SIZE = "over_max_size", "the set is full"


def table() -> list[dict[str, str]]:
    """All codes with their meaning, for documentation and `kimi-pipeline explain`."""
    return [{"reason_code": str(reason), "meaning": reason.meaning} for reason in Reason]
