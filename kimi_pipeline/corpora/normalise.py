"""From a source row to a Problem, or to a refusal with a reason code.

Belongs here: types and bounds of mapped fields, images, the language of a text. Does not belong here: reading files
(`formats.py`), the final answer's format and kind (`answers.py`), judging whether a problem is fit for RL (`curation/`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kimi_pipeline.corpora.answers import answer_kind, final_answer
from kimi_pipeline.corpora.formats import Bounds, RawRow
from kimi_pipeline.corpora.free_form import REWRITE, REWRITTEN_FROM, RULE, NotRewritten, free_form
from kimi_pipeline.corpora.mapping import lookup
from kimi_pipeline.corpora.sources import Source
from kimi_pipeline.problems import Image, Problem, Submission
from kimi_pipeline.reasons import Reason

MISSING_WORDS = (
    "nan",
    "null",
    "none",
    "n/a",
)  # as exports write a missing value, in lower case; "None" may be an answer
LABEL_BYTES = 10_000

_MEDIA_TYPES = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_LATIN = re.compile(r"[a-zA-Z\u00c0-\u024f]")
_OTHER = re.compile(r"[\u0400-\u04ff\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f]")
HAN_SHARE = 0.2  # a Chinese text with formulas has as many Latin letters as characters; one character says far more


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row can't become a problem."""

    reason: Reason
    detail: str


Get = Callable[[dict[str, Any]], Any]


class Normaliser:
    """Turns the rows of one source into problems; made once, called a row."""

    def __init__(self, source: Source, bounds: Bounds) -> None:
        self.source = source
        self._bytes = bounds.text
        get = {name: lookup(column) for name, column in source.fields.mapped() if name != "labels"}
        self._prompt, self._answer = get["prompt"], get.get("answer")
        self._options, self._images = get.get("options"), get.get("images")
        self._domain, self._discipline, self._planted = get.get("domain"), get.get("discipline"), get.get("planted")
        self._submissions = get.get("submissions")
        self._labels = [(column, lookup(column)) for column in source.fields.labels]
        self._id = get.get("id")

    def given_id(self, raw: RawRow) -> str | None:
        """The id that the source itself gives the row."""
        value = self._id(raw.values) if self._id and raw.values is not None else None
        return None if value is None else str(value)

    def planted(self, raw: RawRow) -> str | None:
        if raw.planted is not None or raw.values is None:
            return raw.planted
        return _label(raw.values, self._planted)

    def __call__(self, raw: RawRow) -> Problem | Refusal:
        """The row as a Problem, its text as given (normalisation is for identity alone)."""
        values, source = raw.values, self.source
        if values is None:
            return Refusal(raw.problem or Reason.INVALID_JSON, raw.detail)
        prompt = self._text(self._prompt(values), source.fields.prompt, Reason.MISSING_PROMPT, Reason.EMPTY_PROMPT)
        if isinstance(prompt, Refusal):
            return prompt
        submissions = _submissions(self._submissions(values)) if self._submissions else ()
        if submissions is None:
            return Refusal(Reason.WRONG_TYPE, f"{source.fields.submissions}: no list of language, program, verdict")
        answer = self._final(values, needed=not submissions)
        if isinstance(answer, Refusal):
            return answer
        options = _options(self._options(values)) if self._options else ()
        if options is None:
            return Refusal(Reason.WRONG_TYPE, f"{source.fields.options}: not a list of texts")
        images = _images(self._images(values)) if self._images else ()
        if isinstance(images, Refusal):
            return images
        labels = {}
        for column, get in self._labels:
            value = get(values)
            if value is not None:
                labels[column] = str(value)[:LABEL_BYTES]
        texts = [*labels.values(), *options]
        if texts and not all(map(_is_storable, texts)):
            return Refusal(Reason.INVALID_UTF8, "a label or an option: lone surrogate")
        domain, discipline = _label(values, self._domain), _label(values, self._discipline)
        if not (_is_storable(domain or "") and _is_storable(discipline or "")):
            return Refusal(Reason.INVALID_UTF8, "domain or discipline: lone surrogate")
        made = Problem(
            source=source.name,
            source_row=raw.row,
            prompt=prompt,
            answer=answer,
            answer_kind="code" if submissions else source.answer_kind or answer_kind(answer),
            domain=domain or source.domain,
            discipline=discipline or source.discipline,
            language=source.language or language_of(prompt),
            licence=source.licence,
            options=options,
            images=images,
            submissions=submissions,
            labels=labels,
            planted=self.planted(raw),
        )
        return made if source.rewrite is None else self._rewritten(made)

    def _rewritten(self, made: Problem) -> Problem | Refusal:
        found = free_form(made.prompt, made.options, made.answer)
        if isinstance(found, NotRewritten):
            return Refusal(found.reason, found.detail)
        prompt, answer = found
        labels = made.labels | {REWRITTEN_FROM: made.problem_id, REWRITE: RULE}
        kind = self.source.answer_kind or answer_kind(answer)
        return replace(made, prompt=prompt, answer=answer, answer_kind=kind, options=(), labels=labels)

    def _final(self, values: dict[str, Any], needed: bool = True) -> str | Refusal:
        """The answer; a coding problem has none: its submissions say what is right."""
        if self._answer is None or not needed:
            return ""
        column = self.source.fields.answer or ""
        value = self._answer(values)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value != value or value in (float("inf"), float("-inf")):  # a float column's way to say nothing
                return Refusal(Reason.MISSING_ANSWER, f"{column}: {value}")
            try:
                value = str(value)
            except ValueError:  # Python writes no integer of more than 4,300 digits
                return Refusal(Reason.TOO_LONG, f"{column}: an integer of more than 4,300 digits")
        given = self._text(value, column, Reason.MISSING_ANSWER, Reason.MISSING_ANSWER)
        if isinstance(given, Refusal):
            return given
        if given.strip() != "None" and given.strip().lower() in MISSING_WORDS:
            return Refusal(Reason.MISSING_ANSWER, f"{column}: {given.strip()}")
        found = final_answer(given, self.source.answer_format)
        if not found:
            return Refusal(Reason.NO_FINAL_ANSWER, f"{column}: no answer as {self.source.answer_format}")
        return found

    def _text(self, value: Any, column: str, missing: Reason, empty: Reason) -> str | Refusal:
        if value is None:
            return Refusal(missing, f"{column}: absent or null")
        if not isinstance(value, str):
            return Refusal(Reason.WRONG_TYPE, f"{column}: {type(value).__name__}")
        if len(value) * 4 > self._bytes or not value.isascii():
            try:
                size = len(value.encode())
            except UnicodeEncodeError as error:  # lone surrogates, as JSON's \ud800 gives them
                return Refusal(Reason.INVALID_UTF8, f"{column}: {error.reason}")
            if size > self._bytes:
                return Refusal(Reason.TOO_LONG, f"{column}: {size} bytes")
        if not value.strip():
            return Refusal(empty, f"{column}: white space only")
        return value


def language_of(text: str) -> str:
    """The language that a text's script says: zh, ja, ko, en (any Latin letters, or none at all) or und."""
    if text.isascii():
        return "en"
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(text))
    if kana := len(_KANA.findall(text)):
        return "ja" if kana * 5 > han else "zh"
    if hangul := len(_HANGUL.findall(text)):
        return "ko" if hangul > HAN_SHARE * latin else "en"
    if han:
        return "zh" if han > HAN_SHARE * latin else "en"
    return "und" if len(_OTHER.findall(text)) > latin else "en"


def _is_storable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(values: dict[str, Any], get: Get | None) -> str | None:
    value = get(values) if get else None
    return None if value is None else str(value)[:LABEL_BYTES]


def _options(value: Any) -> tuple[str, ...] | None:
    """Options as a list, as an object whose values are the texts ({"A": "12"}), or either as JSON in a text."""
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, dict):
        texts = value.get("text")  # {"label": ["A", "B"], "text": ["12", "13"]}
        value = texts if isinstance(texts, list) else [f"{name}) {text}" for name, text in value.items()]
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        return None
    return tuple(value)


def _submissions(value: Any) -> tuple[Submission, ...] | None:
    """Programs as a list of objects, or as such a list in JSON; None where it is neither."""
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    names = ("language", "program", "verdict")
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and all(isinstance(one.get(name), str) and _is_storable(one[name]) for name in names)
        for one in value
    ):
        return None
    return tuple(Submission(*(one[name] for name in names)) for one in value)


def _images(value: Any) -> tuple[Image, ...] | Refusal:
    """Images as the `datasets` library stores them ({"bytes": ..., "path": ...}), plain bytes, or base64 data URLs."""
    found = []
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        data = item.get("bytes") if isinstance(item, dict) else item
        if isinstance(data, str) and data.startswith("data:image/") and "base64," in data:
            try:
                data = base64.b64decode(data.split("base64,", 1)[1], validate=True)
            except binascii.Error:
                return Refusal(Reason.WRONG_TYPE, "image: broken base64")
        if not isinstance(data, bytes):
            return Refusal(Reason.WRONG_TYPE, f"image: {type(data).__name__}")
        media_type = next((kind for magic, kind in _MEDIA_TYPES if data.startswith(magic)), None)
        if media_type is None:
            return Refusal(Reason.WRONG_TYPE, f"image: neither PNG, JPEG, GIF nor WebP ({data[:4]!r})")
        found.append(Image(media_type, data))
    return tuple(found)
