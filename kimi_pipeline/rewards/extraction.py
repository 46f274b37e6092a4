"""Finding the final answer in a response, and what stands beside it.

Belongs here: the places where an answer is looked for, in order; all answers that a response states, and what is left
without them. Does not belong here: comparing an answer (`rules.py`).
"""

from __future__ import annotations

import re
from typing import Literal

Place = Literal["box", "hashes", "phrase", "code", "line", "bare"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_FINAL = re.compile(
    r"(?:final answer|the answer)[ \t*_]*(?:is\b|:|：)[ \t*_]*[:=]?\s*([^\n]+)"
    r"|^[ \t*_#>-]*answer[ \t*_]*[:：]\s*([^\n]+)"
    r"|(?:最终答案|答案)(?:是|为|：|:|=)[ \t*_]*[:：]?\s*([^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z]|\s*$)|[。！？]")
_BARE_WORDS = 3  # a response of at most so many words, without any marker, is itself the answer
_EMPHASIS = re.compile(r"^[*_`\s]+|[*_`\s]+$")
_FENCE = re.compile(r"^```[\w+-]*[ \t]*\n(.*)\n[ \t]*```$", re.DOTALL)
_FENCES = re.compile(r"```")
# What may stand between two boxes that are given together: \boxed{1} and $\boxed{2}$.
_BETWEEN = re.compile(
    r"[\s$,;.、，；]*(?:(?:and|or|\\text ?\{ ?(?:and|or) ?\}|\\(?:quad|,|;|!|\))|\\\(|和|或)[\s$,;.、，；]*)*"
)
_LONGEST_BETWEEN = 40
_FORMULA_LINE = re.compile(
    r"\$\$(?P<a>[^$\n]+)\$\$|\$(?P<b>[^$\n]+)\$|\\\[(?P<c>[^\n]+)\\\]|\\\((?P<d>[^\n]+)\\\)|\*\*(?P<e>[^*\n]+)\*\*"
)


def boxed(text: str) -> list[str]:
    r"""The contents of every closed `\boxed{...}`, in order of their opening; braces inside may nest.

    One pass over the text: a response of nothing but openings costs no more than any other.
    """
    return [text[start:end] for start, end in _boxes(text)]


def _boxes(text: str) -> list[tuple[int, int]]:
    openings = {match.end() - 1 for match in _BOX.finditer(text)}
    if not openings:
        return []
    found: list[tuple[int, int]] = []
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
                found.append((start + 1, position))
    return sorted(found)


def extract_answer(text: str) -> str | None:
    r"""The final answer of a response, or None where it gives none. In this order:

    1. the last `\boxed{}` with content; boxes that are given together (`\boxed{1}` and `\boxed{2}`) are one list
    2. a closing line `#### ANSWER`
    3. what follows the last "the answer is", "Answer:" or 答案是 up to the end of its sentence
    4. a last line that is one formula or one phrase in bold and nothing else, or a closing code block of one line
    5. a response that is nothing but one short line (chat models asked for the answer alone often leave the box out)

    A number that merely stands in the text is not an answer.
    """
    return find_answer(text)[1]


def find_answer(text: str) -> tuple[Place | None, str | None]:
    """Where `extract_answer` finds the answer, and the answer; the place may hold none."""
    boxes = [(start, end) for start, end in _boxes(text) if text[start:end].strip()]
    if boxes:
        return "box", _together(text, boxes)
    text = text.strip()
    last_line = text.rpartition("\n")[2]
    if "####" in last_line:  # elsewhere it is a heading
        return "hashes", last_line.rpartition("####")[2].strip() or None
    if finals := list(_FINAL.finditer(text)):
        answer = _final(finals[-1])
        if not answer.startswith("```"):
            return "phrase", _EMPHASIS.sub("", _SENTENCE_END.split(answer, maxsplit=1)[0]) or None
    if (code := _closing_code(text)) is not None:
        return "code", code
    if whole := _FORMULA_LINE.fullmatch(last_line.strip().rstrip(".。")):
        return "line", next(part for part in whole.groups() if part).strip() or None
    bare = _EMPHASIS.sub("", text)
    if bare and "\n" not in bare and len(bare.split()) <= _BARE_WORDS and "\\boxed" not in bare:
        return "bare", bare
    return None, None


def _final(match: re.Match[str]) -> str:
    return match[1] or match[2] or match[3]


def stated_answers(text: str) -> list[str]:
    """All that a response gives as its answer, in order: every box with content and every final phrase."""
    boxes = [(start, text[start:end].strip()) for start, end in _boxes(text)]
    found = [(start, answer) for start, answer in boxes if answer and not _BOX.search(answer)]
    for match in _FINAL.finditer(text):
        answer = _EMPHASIS.sub("", _SENTENCE_END.split(_final(match), maxsplit=1)[0])
        if answer and not _BOX.search(answer):
            found.append((match.start(), answer))
    return [answer for _, answer in sorted(found)]


def without_answers(text: str) -> str:
    """What a response says beside its answers: its reasoning."""
    place, _ = find_answer(text)
    if place == "bare":
        return ""
    kept, last = [], 0
    for start, end in _boxes(text):
        if start > last:  # else it stands in the box before
            kept.append(text[last : text.rfind("\\", 0, start)])
            last = end + 1
    text = _FINAL.sub(" ", " ".join([*kept, text[last:]])).strip()
    if place == "code":
        return text.removesuffix("```").rpartition("```")[0]
    return text.rpartition("\n")[0] if place in ("hashes", "line") else text


def _together(text: str, boxes: list[tuple[int, int]]) -> str:
    """The content of the last box, with those right before it that belong to the same statement."""
    start, end = boxes[-1]
    parts = [text[start:end].strip()]
    for earlier_start, earlier_end in reversed(boxes[:-1]):
        opening = text.rfind("\\", 0, start)
        between = text[earlier_end + 1 : opening]
        if earlier_end >= start or len(between) > _LONGEST_BETWEEN or not _BETWEEN.fullmatch(between):
            break  # a box around this one, or a sentence between them: it has been replaced by what follows
        parts.insert(0, text[earlier_start:earlier_end].strip())
        start = earlier_start
    return ", ".join(parts) if len(set(parts)) > 1 else parts[-1]


def _closing_code(text: str) -> str | None:
    """The one line of a code block at the end of a response."""
    if not text.endswith("```"):
        return None
    fences = [match.start() for match in _FENCES.finditer(text)]
    if len(fences) < 2:
        return None
    block = _FENCE.match(text[fences[-2] :])
    content = block[1].strip() if block else ""
    return content if content and "\n" not in content else None
