"""Hard cases are what they say: read back by rules of the test's own; their labels, their split."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.reward_models.cases import Category, Sampled, draw_cases
from kimi_pipeline.reward_models.corpus import CONSTRUCTION, VERIFIER, Drawn, examples_of, labelled, side
from kimi_pipeline.reward_models.forms import DIGIT_WORDS, nature, nearly, other_forms

VALUES = st.one_of(
    st.integers(10, 999_999).map(str), st.permutations("ABCDEFGH").map(lambda letters: "".join(letters[:6]))
)
BODY = "Begin with 4182\nFirst reverse gives 2814\n\\boxed{2814}"
PROBLEM = Drawn("00", "Four wheels read 4182", "2814", (("s1", Sampled(BODY, "2814"), True),))


def meaning(said: str) -> str:
    """What a form says: a reader that shares no code with the forms."""
    said = re.sub(r"\.0$", "", said)
    words = said.replace("then", " ").replace(",", "").split()
    backwards = words[:3] == ["from", "the", "end"]
    symbols = [str(DIGIT_WORDS.index(word)) if word in DIGIT_WORDS else word for word in words[3 if backwards else 0 :]]
    text = "".join(symbols)
    return text[::-1] if backwards else text


@given(VALUES, st.integers(0, 10_000))
def test_a_form_says_its_value_and_a_near_one_another(value: str, seed: int) -> None:
    near = nearly(value, Random(seed))
    assert near is not None and near != value and nature(near) == nature(value)
    for one in (value, near):
        assert {meaning(form(one)) for form in other_forms(one).values()} == {one}


@given(st.integers(0, 300))
def test_a_case_is_right_where_its_ending_alone_says_the_reference(seed: int) -> None:
    for case in draw_cases(PROBLEM.question, PROBLEM.reference, [Sampled(BODY, "2814")], 9, Random(seed)):
        assert case.response.removesuffix("}").endswith(case.said[-1] if case.said else "")
        if case.category is Category.NONE:
            assert "boxed" not in case.response and not case.correct
        elif case.category is Category.SEVERAL:
            assert len({meaning(one) for one in case.said}) == 2 and not case.correct
        elif case.category is not Category.UNIT:
            assert case.correct == (meaning(case.said[0]) == "2814")
        elif case.said[0].endswith(" m") and "." in case.said[0]:
            assert case.correct == (round(float(case.said[0][:-2]) * 100) == 2814)
        else:
            number, _, unit = case.said[0].partition(" ")
            assert case.correct == (number == {"cm": "2814", "": "2814", "mm": "28140"}.get(unit))


def test_the_verifier_labels_what_it_decides_and_construction_the_rest() -> None:
    rows = examples_of(PROBLEM, 40, 0.1, seed=0)
    found, left_out = labelled(rows)
    assert len(found) + sum(left_out.values()) == len(rows) and len(found) > 30
    by_words = [row for row in found if row["form"] == "words" and "boxed" in row["response"]]
    plain = [row for row in found if row["category"] == Category.SAMPLED]
    assert by_words and {row["labelled_by"] for row in by_words} == {CONSTRUCTION}
    assert plain and {row["labelled_by"] for row in plain} == {VERIFIER}
    assert all(row["reasoning"].endswith("=") == row["correct"] for row in found)
    lie = [rows[0] | {"correct": not rows[0]["correct"]}]
    assert labelled(lie) == ([], {"disagreement": 1})


@pytest.mark.parametrize("seed", [0, 1])
def test_a_problem_is_on_one_side_with_all_its_examples(seed: int) -> None:
    problems = [Drawn(f"{number:032x}", "", "2814", PROBLEM.samples) for number in range(40)]
    sides = {one.problem_id: {row["split"] for row in examples_of(one, 5, 0.2, seed)} for one in problems}
    assert all(found == {side(name)} for name, found in sides.items())
    assert {next(iter(found)) for found in sides.values()} == {"train", "held_out"}
