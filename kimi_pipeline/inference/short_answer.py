r"""Short answers: holding the decoder to `\boxed{...}` of a bounded length, so that a guess is a guess.

Belongs here: the form, as a regular expression (vLLM) and as a JSON schema (endpoints), and reading either back. Does
not belong here: who decodes (carriers), what is asked (templates).

Without it a chat model that is asked for the answer alone often begins to reason, and is cut before it has answered.
"""

from __future__ import annotations

import json
from typing import Any

FRAME_TOKENS = 9  # at most, of `\boxed{`, `}` and the end of the turn
LEAST = 4  # characters
BRACED = 14  # characters of two braced parts and what may follow them
LEAST_HEAD = 8  # characters before them: `\frac`, `3\sqrt`


def longest(max_tokens: int) -> int:
    """How many characters an answer may have so that it ends within `max_tokens`, at one token a character."""
    return max(LEAST, max_tokens - FRAME_TOKENS)


def pattern(max_tokens: int) -> str:
    r"""A regular expression: `\boxed{...}`, whose content may hold two braced parts (`\frac{1}{2}`)."""
    characters = longest(max_tokens)
    plain = r"[^{}\n]"
    head = max(LEAST_HEAD, characters - BRACED)
    braced = rf"{plain}{{0,{head}}}(\{{{plain}{{1,4}}\}}){{1,2}}{plain}{{0,2}}"
    return rf"\\boxed\{{({plain}{{1,{characters}}}|{braced})\}}"


def response_format(max_tokens: int) -> dict[str, Any]:
    """The same for an OpenAI-compatible endpoint: an object with one text."""
    answer = {"type": "string", "minLength": 1, "maxLength": longest(max_tokens)}
    schema = {"type": "object", "properties": {"answer": answer}, "required": ["answer"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "short_answer", "strict": True, "schema": schema}}


def as_response(text: str) -> str:
    """The answer of such an object as a response that ends in a box; any other text as it is."""
    try:
        values = json.loads(text)
    except ValueError:
        return text
    answer = values.get("answer") if isinstance(values, dict) else None
    if not isinstance(answer, str):
        return text
    return answer if "\\boxed" in answer else f"\\boxed{{{answer}}}"
