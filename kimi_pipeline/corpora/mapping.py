"""Mapping: which column of a source holds what, looked up, checked, and guessed from names and content.

Belongs here: dotted paths, the guess behind plain data files and `sources check`. Does not belong here: what a value
must look like to become a problem (`normalise.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

from kimi_pipeline.corpora.formats import Bounds, RawRow, rows
from kimi_pipeline.corpora.sources import Fields, Source
from kimi_pipeline.errors import UserError

PEEK_ROWS = 200  # a mapped column must occur in one of the first rows, else its name is wrong
DEEPEST = 3  # names in a dotted path that a guess may find

PROMPT_NAMES = ("prompt", "problem", "question", "query", "instruction", "problem_statement", "input", "题目", "问题")
ANSWER_NAMES = (
    "answer",
    "final_answer",
    "expected_answer",
    "reference_answer",
    "gold_answer",
    "gold",
    "ground_truth",
    "correct",
    "answerkey",
    "target",
    "label",
    "solution",
    "output",
    "response",
    "completion",
    "答案",
)
WRAPPED = ("value", "text")  # inside an object of which its own name says what it is
OPTION_NAMES = ("options", "choices")
ID_NAMES = ("id", "unique_id", "uuid", "question_id", "problem_id")
IMAGE_NAMES = ("images", "image", "decoded_image")
LABEL_NAMES = ("type", "level", "difficulty", "subject", "topic", "category", "grade", "year", "source", "data_source")
LABEL_BYTES = 80

_ASKS = re.compile(r"\?|？|\b(?:find|what|how|which|determine|compute|calculate|evaluate|prove|let)\b|求|多少|几", re.I)
_MARKED = re.compile(r"####|\\boxed\b|\bthe (?:final )?answer is\b", re.I)
_NUMBER = re.compile(r"-?\d")


def lookup(path: str) -> Callable[[dict[str, Any]], Any]:
    """What reads a column: by its whole name, else as a dotted path through objects and lists; None where it is absent."""
    parts = path.split(".")

    def found(values: dict[str, Any]) -> Any:
        value: Any = values
        for part in parts:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.lstrip("-").isdigit():
                value = value[int(part)] if -len(value) <= int(part) < len(value) else None
            else:
                return None
        return value

    if len(parts) == 1:
        return lambda values: values.get(path)
    return lambda values: values[path] if path in values else found(values)


def check_fields(source: Source, bounds: Bounds) -> None:
    """Raises UserError where a mapped column does not occur in the source's first rows."""
    peeked = [raw.values for raw in islice(rows(source, bounds), PEEK_ROWS) if raw.values is not None]
    if not peeked:
        return
    for field, column in source.fields.mapped():
        if not any(_present(row, column) for row in peeked):
            known = ", ".join(sorted(_columns(peeked)))
            raise UserError(f"source {source.name}: no column {column!r} for {field} (columns: {known})")


def _present(row: dict[str, Any], column: str) -> bool:
    return column in row or lookup(column)(row) is not None


def _columns(peeked: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values of every column, nested ones under their dotted path; of a list the first element stands for all."""
    found: dict[str, list[Any]] = {}
    for row in peeked:
        for path, value in _leaves(row, ""):
            found.setdefault(path, []).append(value)
    return found


def _leaves(value: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        path = f"{prefix}.{name}" if prefix else str(name)
        yield path, inner
        if depth + 1 < DEEPEST:
            if isinstance(inner, dict) and not isinstance(inner.get("bytes"), bytes):
                yield from _leaves(inner, path, depth + 1)
            elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
                yield from _leaves(inner[0], f"{path}.0", depth + 1)


def guess_source(known: dict[str, Any], bounds: Bounds | None = None, *, answers: bool = True) -> Source:
    """The source of a plain data file, its mapping guessed from the first rows.

    Raises UserError naming the columns where nothing looks like the prompt, or (with `answers`) like the answer.
    """
    stand_in = Source(**known, fields=Fields(prompt="prompt"), answer_kind="none")
    peeked: list[RawRow] = list(islice(rows(stand_in, bounds or Bounds()), PEEK_ROWS))
    readable = [raw.values for raw in peeked if raw.values is not None]
    if not readable:
        raise UserError(f"{stand_in.path} holds no readable row: check that it is {stand_in.kind}")
    fields, answer_format = guess_fields(readable)
    listed = ", ".join(sorted(_columns(readable)))
    if fields is None or (fields.answer is None and answers):
        missing = "prompt" if fields is None else "answer"
        raise UserError(
            f"{stand_in.path}: no column looks like the {missing} (columns: {listed}): "
            "write a .toml source file with [source.fields] (`kimi-pipeline sources check` begins one)"
        )
    kind = None if fields.answer else "none"
    return Source(**known, fields=fields, answer_format=answer_format, answer_kind=kind)  # type: ignore[arg-type]


def guess_fields(peeked: list[dict[str, Any]]) -> tuple[Fields | None, str]:
    """The mapping that names and content suggest (None: nothing looks like a prompt), and the answer's format."""
    columns = _columns(peeked)
    texts = {name: [v for v in values if isinstance(v, str) and v.strip()] for name, values in columns.items()}

    def named(names: tuple[str, ...], fits: Callable[[str], bool]) -> str | None:
        fitting = [column for column in columns if fits(column)]
        ranked = [
            (names.index(leaf), column.count("."), column) for column in fitting if (leaf := _leaf(column)) in names
        ]
        return min(ranked)[2] if ranked else None

    def is_text(column: str) -> bool:
        return sum(isinstance(v, str) for v in columns[column]) * 2 >= len(columns[column])

    prompt = named(PROMPT_NAMES, is_text) or _spoken(columns, texts, "user") or _longest_question(texts)
    if prompt is None:
        return None, "auto"

    def is_answer(column: str) -> bool:
        plain = [v for v in columns[column] if isinstance(v, str | int | float) and not isinstance(v, bool)]
        return column != prompt and len(plain) * 2 >= len(columns[column])

    answer = named(ANSWER_NAMES, is_answer) or _spoken(columns, texts, "assistant")
    answer = answer or _answering(columns, prompt, is_answer)
    labels = [
        column
        for column in columns
        if _leaf(column) in LABEL_NAMES and column not in (prompt, answer) and _is_label(columns[column])
    ]
    fields = Fields(
        prompt=prompt,
        answer=answer,
        id=named(ID_NAMES, lambda column: "." not in column and _is_identity(columns[column], len(peeked))),
        options=named(OPTION_NAMES, lambda column: all(isinstance(v, list) or v is None for v in columns[column])),
        images=named(IMAGE_NAMES, lambda column: all(_is_image(v) for v in columns[column])),
        labels=labels,
    )
    return fields, _format(texts.get(answer, []) if answer else [])


def _leaf(column: str) -> str:
    """The name that says what a column holds: the last, or the one before where that only says `value`."""
    *above, last = column.casefold().split(".")
    return above[-1] if above and last in WRAPPED else last


def _spoken(columns: dict[str, list[Any]], texts: dict[str, list[str]], role: str) -> str | None:
    """The content of a chat message, where a column holds messages: its first for the user, its last for the model."""
    for name, values in columns.items():
        talks = [
            v for v in values if isinstance(v, list) and v and all(isinstance(m, dict) and "content" in m for m in v)
        ]
        if not talks or len(talks) < len(values):
            continue
        roles = [message.get("role") for message in talks[0]]
        if role in roles and (role == "user" or len(roles) > 1):
            return f"{name}.{roles.index(role)}.content"
    return None


def _longest_question(texts: dict[str, list[str]]) -> str | None:
    """The column that asks: most of its texts hold a question's words, and it is the one whose texts ask most."""
    shares = {
        name: sum(bool(_ASKS.search(text)) for text in found) / len(found)
        for name, found in texts.items()
        if found and sum(map(len, found)) / len(found) > 15 and not any(_MARKED.search(text) for text in found)
    }
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] >= 0.5 else None


def _answering(columns: dict[str, list[Any]], prompt: str, is_answer: Callable[[str], bool]) -> str | None:
    """A column of worked solutions with a marked answer, else the one of short values most of which are numbers."""
    fitting = [
        c
        for c in columns
        if is_answer(c) and _leaf(c) not in (*LABEL_NAMES, *ID_NAMES) and not _numbers_rows(columns[c])
    ]
    for column in fitting:
        marked = [v for v in columns[column] if isinstance(v, str) and _MARKED.search(v)]
        if len(marked) * 2 >= len(columns[column]):
            return column
    short = [
        c
        for c in fitting
        if all(len(str(v)) < 40 for v in columns[c])
        and sum(bool(_NUMBER.match(str(v))) for v in columns[c]) * 2 >= len(columns[c])
    ]
    return short[0] if len(short) == 1 else None  # with two there is no telling


def _format(answers: list[str]) -> str:
    """`last_number` for worked solutions without any mark that end in a number, else `auto`."""
    worked = [text for text in answers if len(text) > 200 or "\n" in text]
    if not answers or len(worked) * 2 < len(answers) or any(_MARKED.search(text) for text in worked):
        return "auto"
    ending = [text for text in worked if re.search(r"\d[\d.,]*\D{0,20}$", text.strip())]
    return "last_number" if len(ending) >= 0.8 * len(worked) else "auto"


def _is_label(values: list[Any]) -> bool:
    return all(
        v is None or (isinstance(v, str | int | float) and len(str(v).encode("utf-8", "replace")) <= LABEL_BYTES)
        for v in values
    )


def _numbers_rows(values: list[Any]) -> bool:
    """Whether a column is the index that a data frame left behind: it rises by the same number from row to row."""
    steps = {after - before for before, after in pairwise(values)} if all(type(v) is int for v in values) else set()
    return len(steps) == 1 and steps != {0}


def _is_identity(values: list[Any], count: int) -> bool:
    """Whether a column numbers or names its rows; a few repeats are what it is there to show."""
    usable = [v for v in values if isinstance(v, str | int)]
    return len(usable) >= 0.8 * count and len(set(usable)) >= 0.8 * len(usable)


def _is_image(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(
        item is None
        or isinstance(item, bytes)
        or (isinstance(item, dict) and isinstance(item.get("bytes"), bytes))
        or (isinstance(item, str) and item.startswith("data:image/"))
        for item in items
    )
