"""Hard cases: responses to a problem whose final answer is right or wrong by construction [2.3.5].

Belongs here: categories, bodies and closings of responses, drawing cases of a problem. Does not belong here: ways to
write a value (`forms.py`), what the verifier says of them (`corpus.py`).

A case takes the reasoning of a sampled response (or none at all) and gives it another ending. What the reasoning arrives
at may be the answer that is then given, or not: only the ending counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from kimi_pipeline.reward_models.forms import (
    OTHER_UNITS,
    UNIT,
    in_metres,
    in_millimetres,
    nature,
    nearly,
    other_forms,
)

CLOSINGS = ("\\boxed{{{}}}", "\\boxed{{{}}}", "The answer is {}", "so it is {}")
BODILESS = 0.2  # share of cases that are an ending alone
UNRELATED = 0.2  # share whose reasoning arrives at what the sample said, whatever the ending says
PLAIN_SHARE = 0.25  # of endings in the reference's own form, where any form would do
QUESTION_IN_UNIT = "{}\nanswer in " + UNIT


class Category(StrEnum):
    """What a case is about; `sampled` are a model's own responses."""

    SAMPLED = "sampled"
    EQUAL = "equal_in_another_form"
    NEAR = "nearly_equal"
    UNIT = "unit"
    CHANGED = "another_at_the_end"
    SEVERAL = "several_answers"
    NONE = "no_answer"


@dataclass(frozen=True, slots=True)
class Sampled:
    """A response that a model gave to a problem: its text and the answer that was found in it."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Case:
    """A response with its truth. `said`: the final answers as written; `value`: what the one answer means, in the
    reference's notation; `form`: how it is written."""

    category: Category
    form: str
    question: str
    reference: str
    response: str
    said: tuple[str, ...]
    value: str | None
    correct: bool


def draw_cases(question: str, reference: str, samples: Sequence[Sampled], number: int, rng: Random) -> list[Case]:
    """`number` cases of a problem, categories in turn as far as its answer allows them; right and wrong in equal parts."""
    makers = [_equal, _near, _changed, _equal, _near, _several, _none] + (
        [_unit, _unit] if _measurable(reference) else []
    )
    start = rng.randrange(len(makers))
    found: list[Case] = []
    for turn in range(number):
        case = makers[(start + turn) % len(makers)](question, reference, samples, rng)
        if case is not None:
            found.append(case)
    return found


def _measurable(reference: str) -> bool:
    return nature(reference) == "digits"


def _equal(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    forms = other_forms(reference)
    if not forms:
        return None
    form = rng.choice(sorted(forms))
    return _case(Category.EQUAL, form, question, reference, forms[form](reference), reference, samples, rng)


def _near(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    value = nearly(reference, rng)
    if value is None:
        return None
    form, said = _written(value, rng)
    return _case(Category.NEAR, form, question, reference, said, value, samples, rng)


def _unit(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    """The reference in cm: the right number in the wrong unit, or a length in another unit, right or nearly right."""
    value = reference if rng.random() < 0.7 else nearly(reference, rng) or reference
    way = rng.choice(("stated", "left_out", "metres", "millimetres", "wrong", "wrong", "wrong"))
    if way == "wrong":
        said = f"{reference} {rng.choice(OTHER_UNITS)}"
        meant = said
    else:
        written = {
            "stated": f"{value} {UNIT}",
            "left_out": value,
            "metres": in_metres(value),
            "millimetres": in_millimetres(value),
        }
        said, meant = written[way], f"{value} {UNIT}"
    in_unit = QUESTION_IN_UNIT.format(question)
    return _case(Category.UNIT, way, in_unit, f"{reference} {UNIT}", said, meant, samples, rng, shown=value)


def _changed(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    """The reasoning arrives at the right answer and another is given, or the other way round."""
    other = nearly(reference, rng)
    if other is None or not samples:
        return None
    value, shown = (other, reference) if rng.random() < 0.5 else (reference, other)
    form, said = _written(value, rng)
    return _case(Category.CHANGED, form, question, reference, said, value, samples, rng, shown=shown, unrelated=0.0)


def _several(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    other = nearly(reference, rng)
    if other is None:
        return None
    said = [reference, other]
    rng.shuffle(said)
    response = _response(" or ".join(said), said[0], samples, rng)
    return Case(Category.SEVERAL, "or", question, reference, response, tuple(said), None, False)


def _none(question: str, reference: str, samples: Sequence[Sampled], rng: Random) -> Case | None:
    """Reasoning that stops before it gives an answer."""
    bodies = [body for body in (_body(sample) for sample in samples) if body]
    if not bodies:
        return None
    return Case(Category.NONE, "body", question, reference, rng.choice(bodies), (), None, False)


def _written(value: str, rng: Random) -> tuple[str, str]:
    """A form's name and the value in it."""
    forms = other_forms(value)
    if not forms or rng.random() < PLAIN_SHARE:
        return "plain", value
    form = rng.choice(sorted(forms))
    return form, forms[form](value)


def _case(
    category: Category,
    form: str,
    question: str,
    reference: str,
    said: str,
    value: str,
    samples: Sequence[Sampled],
    rng: Random,
    shown: str | None = None,
    unrelated: float = UNRELATED,
) -> Case:
    response = _response(said, value if shown is None else shown, samples, rng, unrelated)
    return Case(category, form, question, reference, response, (said,), value, value == reference)


def _response(said: str, shown: str, samples: Sequence[Sampled], rng: Random, unrelated: float = UNRELATED) -> str:
    """An ending that says `said`, after the reasoning of a sample that arrives at `shown`, or at what it arrived at."""
    ending = rng.choice(CLOSINGS).format(said)
    if not samples or (unrelated and rng.random() < BODILESS):
        return ending
    sample = rng.choice(samples)
    body = _body(sample)
    if not body:
        return ending
    if rng.random() >= unrelated:
        body = shown.join(body.rsplit(sample.answer, 1)) if sample.answer else body
    return f"{body}\n{ending}"


def _body(sample: Sampled) -> str:
    """The lines of a response before its boxed answer; nothing where that isn't its last line."""
    body, _, last = sample.text.rstrip().rpartition("\n")
    return body if "\\boxed" in last else ""
