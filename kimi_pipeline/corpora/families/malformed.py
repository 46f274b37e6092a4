"""Rows that no corpus should hold, each with the reason for which it must be quarantined.

Belongs here: broken rows. Does not belong here: recognising them (`corpora/`).
"""

from __future__ import annotations

from typing import Any

TOO_LONG_ROWS = 2  # of a megabyte each; the other reasons fill the rest
OVER_LONG_BYTES = 1_000_001  # just above the default of corpora.max_text_bytes


def malformed_rows(count: int, max_text_bytes: int = OVER_LONG_BYTES - 1) -> list[dict[str, Any]]:
    """`count` rows, the reasons in turn. `expected_reason` is the code under which a row must be quarantined."""
    makers = [_empty_prompt, _missing_prompt, _missing_answer, _prompt_is_a_number, _invalid_prompt, _blank_prompt]
    makers += [_null_prompt, _null_answer, _prompt_is_a_list, _invalid_answer, _empty_answer, _answer_is_an_object]
    rows = [_too_long(number, max_text_bytes) for number in range(min(TOO_LONG_ROWS, count))]
    rows += [makers[number % len(makers)](number) for number in range(count - len(rows))]
    return rows


def _empty_prompt(number: int) -> dict[str, Any]:
    return {"prompt": "", "answer": str(number), "expected_reason": "empty_prompt"}


def _blank_prompt(number: int) -> dict[str, Any]:
    return {"prompt": " \n\t ", "answer": str(number), "expected_reason": "empty_prompt"}


def _missing_prompt(number: int) -> dict[str, Any]:
    return {"answer": str(number), "expected_reason": "missing_prompt"}


def _null_prompt(number: int) -> dict[str, Any]:
    return {"prompt": None, "answer": str(number), "expected_reason": "missing_prompt"}


def _missing_answer(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} + 1?", "expected_reason": "missing_answer"}


def _null_answer(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} + 2?", "answer": None, "expected_reason": "missing_answer"}


def _empty_answer(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} + 3?", "answer": "  ", "expected_reason": "missing_answer"}


def _prompt_is_a_number(number: int) -> dict[str, Any]:
    return {"prompt": number, "answer": str(number), "expected_reason": "wrong_type"}


def _prompt_is_a_list(number: int) -> dict[str, Any]:
    return {"prompt": ["What is", number], "answer": str(number), "expected_reason": "wrong_type"}


def _answer_is_an_object(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} + 4?", "answer": {"value": number + 4}, "expected_reason": "wrong_type"}


def _invalid_prompt(number: int) -> dict[str, Any]:
    return {
        "prompt": b"What is \xff\xfe " + str(number).encode() + b"?",
        "answer": str(number),
        "expected_reason": "invalid_utf8",
    }


def _invalid_answer(number: int) -> dict[str, Any]:
    return {"prompt": f"What is {number} + 5?", "answer": b"\xc3\x28", "expected_reason": "invalid_utf8"}


def _too_long(number: int, max_text_bytes: int) -> dict[str, Any]:
    start = f"What is the sum of {number}"
    return {
        "prompt": start + " + 1" * (max_text_bytes // 4 + 1),
        "answer": str(number),
        "expected_reason": "too_long",
    }
