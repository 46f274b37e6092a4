"""Finding the final answer in a response.

Belongs here: the places where an answer is looked for, in order. Does not belong here: comparing it (`math_rules.py`).
"""

from __future__ import annotations

import re

_BOX = re.compile(r"\\boxed\s*\{")
_FINAL = re.compile(
    r"(?:final answer|the answer)[ \t*_]*(?:is\b|:)[ \t*_]*[:=]?\s*([^\n]+)|^[ \t*_#>-]*answer[ \t*_]*:\s*([^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z]|\s*$)")
_BARE_WORDS = 3  # a response of at most so many words, without any marker, is itself the answer
_EMPHASIS = re.compile(r"^[*_`\s]+|[*_`\s]+$")


def boxed(text: str) -> list[str]:
    r"""The contents of every closed `\boxed{...}`, in order of their opening; braces inside may nest.

    One pass over the text: a response of nothing but openings costs no more than any other.
    """
    openings = {match.end() - 1 for match in _BOX.finditer(text)}
    found: list[tuple[int, str]] = []
    stack: list[int] = []
    escaped = False
    for position, character in enumerate(text):
        if escaped or character == "\\":
            escaped = not escaped  # \{ and \} are characters of a set, no braces
        elif character == "{":
            stack.append(position)
        elif character == "}" and stack:
            start = stack.pop()
            if start in openings:
                found.append((start, text[start + 1 : position]))
    return [content for _, content in sorted(found)]


def extract_answer(text: str) -> str | None:
    r"""The final answer of a response: the last `\boxed{}` with content, else a closing line `#### ANSWER`, else what
    follows the last "the answer is" or "Answer:" up to the end of its sentence, else a response that is nothing but one
    short line (chat models asked for the answer alone often leave the box out).

    None where the response gives none. A number that merely stands in the text is not an answer.
    """
    if filled := [content.strip() for content in boxed(text) if content.strip()]:
        return filled[-1]
    last_line = text.rstrip().rpartition("\n")[2]
    if "####" in last_line:  # elsewhere it is a heading
        return last_line.rpartition("####")[2].strip() or None
    if finals := list(_FINAL.finditer(text)):
        answer = finals[-1][1] or finals[-1][2]
        return _EMPHASIS.sub("", _SENTENCE_END.split(answer, maxsplit=1)[0]) or None
    bare = _EMPHASIS.sub("", text)
    if bare and "\n" not in bare and len(bare.split()) <= _BARE_WORDS and "\\boxed" not in bare:
        return bare
    return None
