"""Free form: a multiple-choice question without its options, where it can be asked without them [2.1].

Belongs here: which questions can, and what remains of them. Does not belong here: finding lists of options (`options.py`),
excluding multiple-choice questions (`curation/evaluability.py`), which judges what comes out as it does any other row.

The report excludes multiple-choice questions. A source with `rewrite = "free_form"` takes those back whose right option is a
value, and whose question has that one value whatever the options are. It is careful on purpose: a question that is
refused costs a row, one that has other right answers than its reference spoils a reward.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from kimi_pipeline.corpora.answers import answer_kind
from kimi_pipeline.corpora.options import listed_options
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.numbers import as_number, canonical

RULE = "free_form@1"
REWRITTEN_FROM, REWRITE = "rewritten_from", "rewrite"
"""Labels of a rewritten problem: the id of the multiple-choice problem, the rule."""
VALUES = ("integer", "rational", "real", "expression", "tuple", "set", "interval", "matrix")

_LABEL = re.compile(r"^\s*[(\[]?([A-Ha-h])\s?[)\].:、]\s*")
_LETTER = re.compile(r"(?:\\(?:text|textbf|mathrm)\s*\{)?[(\[]?([A-H])[)\]]?\}?[.,]?")
_SPACE = r"(?:\s|\\[ ,;:]|\\\\|\\q?quad|\\indent|[,;&]|\\[\]\)])+"
_LATEX_ENDS = re.compile(rf"^{_SPACE}|(?:{_SPACE}|\\(?:text|textbf|mathrm|mathbf)\s*\{{?)+$")
_WRAPPED = re.compile(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}")
_RELATION = re.compile(r"[<>=≤≥≠]|\\(?:leq?|geq?|neq?|equiv|in)\b")
_UNIT = re.compile(
    r"(?:Rs\.?|\$|₹|€|£)?\s*(-?\d[\d.,/ ]*)\s*((?!(?:am|pm|noon|a\.m|p\.m)\b)[A-Za-z%°][A-Za-z./%°]*(?: [A-Za-z./]+)?)?\.?",
    re.IGNORECASE,
)

# The question leans on its options: it points at them,
_POINTS = re.compile(
    r"\bthe following\b|\b(?:which|one|any|all|none|each|some) of (?:these|those)\b"
    r"|\b(?:given|answer|listed) (?:options|choices|values)\b"
    r"|(?:^|[.?!:]\s+|\b(?:then|find|find out|determine),?\s+)which\s"
    r"|\b(?:type|enter|write|give|select|choose) [^.?!]{0,20}letter"
    r"|下列|以下|选项|下面|哪[个一项]",
    re.IGNORECASE,
)
# or its last sentence asks for something that fits, for the nearest, or for a judgement of statements.
_FITS = re.compile(
    r"\b(?:could|can|may|might|must|cannot|can't)(?: not)? (?:be|equal|have|hold)\b|\bpossible\b"
    r"|\b(?:closest|nearest to|approximat\w+|about (?:how|what)|roughly|estimate[ds]?|except|statements?|true|false|conclu\w+"
    r"|equivalent|same as|expression|described?|represents?)\b|(?-i:NOT)\b|\bmost nearly\b|可能|约为|正确|错误",
    re.IGNORECASE,
)
_ONE_VALUE = re.compile(
    r"\b(?:how (?:many|much)|(?:number|sum|product|ratio|probability) of|largest|smallest|greatest|least|maximum|minimum"
    r"|most|fewest)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:find|compute|determine|evaluate|calculate|solve|simplify|how (?:many|much|long|far|old|fast)"
    r"|what(?:'s| is| are| was| will|)|who|when)\b|求|计算|多少|几",
    re.IGNORECASE,
)
_OPEN_END = re.compile(r"(?:\b(?:is|are|was|equals?|equal to|be|to)|=)\s*[:?.]?\s*\$?\s*$", re.IGNORECASE)
_SENTENCE = re.compile(r"[.?!。？！]\s+|\n\s*")
_ROUNDS = re.compile(r"\b(?:round(?:ed)?|nearest|decimals?|places?|significant|cents?)\b", re.IGNORECASE)
EXACT = 8  # a decimal is taken as exact where this many times it is whole


@dataclass(frozen=True, slots=True)
class NotRewritten:
    """Why a question keeps its options."""

    reason: Reason
    detail: str


def free_form(prompt: str, options: Sequence[str], answer: str) -> tuple[str, str] | NotRewritten:
    """The question without its options, and the value of the right one. `options`: those of a field (empty: the prompt
    holds them); `answer`: a letter, or what an option says."""
    stem, texts = prompt, [_without_label(text) for text in options]
    if not texts:
        found = listed_options(prompt)
        if found is None:
            return NotRewritten(Reason.NO_OPTIONS, "no options")
        stem, texts = _without_end(prompt[: found[0]]), [_cleaned(text) for text in found[1]]
    if leaning := _leans(stem):
        return NotRewritten(Reason.STEM_NEEDS_OPTIONS, leaning)
    place = _chosen(answer, texts)
    if place is None:
        return NotRewritten(Reason.ANSWER_IS_NO_OPTION, f"answer {answer[:40]!r} of {len(texts)} options")
    value = texts[place] if _LETTER.fullmatch(answer.strip()) else answer.strip()
    if not _is_value(value):
        return NotRewritten(Reason.OPTION_IS_NO_VALUE, value[:80])
    if _may_be_rounded(value, stem):
        return NotRewritten(Reason.OPTION_IS_ROUNDED, value[:80])
    return stem.rstrip(), value


def _leans(stem: str) -> str | None:
    """What of a question needs options; None where it can stand alone."""
    if found := _POINTS.search(stem):
        return f"prompt:{found.start()}-{found.end()}"
    text = stem.rstrip()
    last = max((found.end() for found in _SENTENCE.finditer(text) if found.end() < len(text)), default=0)
    # "How many values can be taken" and "the largest that x can be" have one answer.
    if (found := _FITS.search(stem, last)) and not _ONE_VALUE.search(stem, last, found.start()):
        return f"prompt:{found.start()}-{found.end()}"
    return None if _ASKS.search(stem) or _OPEN_END.search(stem) else "asks for no value"


def _chosen(answer: str, texts: Sequence[str]) -> int | None:
    """The place of the right option: by its letter, else by what it says. None where that is none or not one alone."""
    said = [as_number(text) if as_number(text) is not None else canonical(text) for text in texts]
    if letter := _LETTER.fullmatch(answer.strip()):
        place = ord(letter[1]) - ord("A")
        if place >= len(texts):
            return None
    else:
        wanted = as_number(answer) if as_number(answer) is not None else canonical(answer)
        if wanted not in said:
            return None
        place = said.index(wanted)
    return place if said.count(said[place]) == 1 else None


def _is_value(text: str) -> bool:
    if not text or _RELATION.search(text) or text.count("{") != text.count("}"):
        return False
    return bool(_UNIT.fullmatch(text)) or (text.count("$") % 2 == 0 and answer_kind(text) in VALUES)


def _may_be_rounded(value: str, stem: str) -> bool:
    """Whether a decimal may stand for another exact value, and the question does not say how it is rounded."""
    decimals = re.findall(r"\d+\.\d+", value.replace(",", ""))
    return any((Fraction(one) * EXACT).denominator != 1 for one in decimals) and not _ROUNDS.search(stem)


def _without_label(text: str) -> str:
    return _LABEL.sub("", text).strip()


def _cleaned(text: str) -> str:
    """What stands between two marks, without what spaces them out or belongs to the marks themselves."""
    text = _WRAPPED.sub(r" \1 ", text.split("\n\n")[0])
    before = None
    while text != before:
        before = text
        text = _LATEX_ENDS.sub("", text).strip()
        if text.startswith("}") and text.count("}") > text.count("{"):
            text = text[1:]  # of \textbf{(A) }
        if text.endswith("}") and text.count("}") > text.count("{"):
            text = text[:-1]
        if text.count("$") % 2:
            text = (
                text.removeprefix("$") if text.startswith("$") and not text[1:2].isdigit() else text.removesuffix("$")
            )
    return text


def _without_end(stem: str) -> str:
    """A question without what opens its list of options: the dollar of a formula, the command around the first mark."""
    return (
        re.sub(r"(?:\s|\$|\\\[|\\(?:text|textbf|mathrm|mathbf)\s*\{?)+$", "", stem)
        if stem.count("$") % 2
        else stem.rstrip()
    )
