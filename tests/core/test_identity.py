from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.digests import digest, request_seed
from kimi_pipeline.identity import normalise_for_identity
from kimi_pipeline.intervals import wilson
from kimi_pipeline.problems import is_held_out, problem_id
from kimi_pipeline.reasons import Reason, table


def test_ids_ignore_layout_and_keep_numbers() -> None:
    assert problem_id("Add 3  apples\n") == problem_id(" Add 3 apples")
    assert problem_id("Add 3 apples") != problem_id("Add 5 apples")
    one, other = ("A) 3", "B) 5"), ("A) 4", "B) 5")
    assert len({problem_id("Which is prime?", (), options) for options in ((), one, other)}) == 3
    assert problem_id("Which is prime?", (), one) == problem_id("Which is prime?", (), ("A) \uff13", "B)  5"))
    assert problem_id("\uff13 apples") == problem_id("3 apples")  # full-width digits


SAME = [
    (r"\left( x + 1 \right)^2 at $x=2$", r"( x + 1 )^2 at $x=2$"),
    (r"Find $\dfrac{1}{2}\,x$.", r"Find $\frac 12 x$."),
    (r"Find $ x  +  1 $", "Find $x+1$"),
    (r"Let \(x \le 3\) hold", "Let $x≤3$ hold"),
    (r"\[x \neq y\]", r"$$x\ne y$$"),
    (r"$\left\{ 1, 2 \right\}$", r"$\{1, 2\}$"),
    (r"$f(x) = \left\{ a \right.$", r"$f(x)=\{a$"),
    (r"$1,\!000$ days", "$1,000$ days"),
    ("“What’s 7 − 3?”", '"What\'s 7 - 3?"'),
    ("x² + ½", r"x^2 + \frac{1}{2}"),
    ("$5 - 3$", "$5-3$"),
    ("20℃", "20°C"),
    ("the angle 𝜋", "the angle π"),
    ("10⁻³", "10^-^3"),
    ("x =\u0338 2", "x ≠ 2"),
]
DIFFERENT = [
    ("5²", "52"),
    ("x₁0", "x10"),
    ("2½", "21/2"),
    ("①5", "15"),
    ("⒈5 apples", "1.5 apples"),
    ("$f(1, 234)$", "$f(1,234)$"),
    ("$5 10$", "$510$"),
    ("$3 .5$", "$3.5$"),
    ("give $5 -3$", "give $5 3$"),
    (r"$\frac{1}{23}$", r"$\frac{12}{3}$"),
    (r"$\frac123$", r"$\frac{1}{23}$"),
    (r"$\alpha b$", r"$\alphab$"),
    (r"$x \\[2pt] y$", "$x $2pt] y$"),
    ("$x<y$", r"$x \le y$"),
    ("$AB$", "$ab$"),
    (r"pay \$5", r"pay \$ 6"),
    ("x != y", "x = y"),
    ("$a|b$", "$ab$"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_problem_are_one(one: str, other: str) -> None:
    assert normalise_for_identity(one) == normalise_for_identity(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_problems_that_differ_stay_apart(one: str, other: str) -> None:
    assert normalise_for_identity(one) != normalise_for_identity(other)


LATEX_PIECES = [
    r"\left",
    r"\right",
    r"\[",
    r"\]",
    r"\(",
    r"\)",
    r"\\",
    r"\!",
    r"\,",
    r"\frac",
    r"\dfrac",
    r"\quad",
    r"\le",
]
LATEX_PIECES += [r"\leq", r"\{", r"\$", "\\", "$", "$$", "²", *"().[]{}123ab-+,~"]
LATEX = st.lists(
    st.sampled_from([*LATEX_PIECES, " ", "\n"]),
    max_size=20,
).map("".join)


@given(LATEX, st.sampled_from([" ", "  ", "\n", "\t"]))
def test_digits_never_change(text: str, space: str) -> None:
    assert re.sub(r"\D", "", normalise_for_identity(text)) == re.sub(r"\D", "", text.replace("²", "2"))
    assert normalise_for_identity(text.replace(" ", space)) == normalise_for_identity(text)


TYPOGRAPHY = st.lists(
    st.sampled_from([*"℃℉𝜋𝝿⁻₋⁺³½①⒈＄＼～≠=<a5", "\u0338", "\u0301", "\u200b", "\u00ad", "\\!", "$", " "])
)


@given(st.text(min_size=1) | LATEX | TYPOGRAPHY.map("".join))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise_for_identity(text)
    assert normalise_for_identity(once) == once


def test_split_is_by_hash_and_near_its_share() -> None:
    ids = [problem_id(f"problem {k}") for k in range(5000)]
    held_out = [i for i in ids if is_held_out(i, 0.2)]
    assert abs(len(held_out) / len(ids) - 0.2) < 0.02
    assert set(held_out) == {i for i in ids if is_held_out(i, 0.2)}
    assert not any(is_held_out(i, 0.0) for i in ids)
    assert all(is_held_out(i, 1.0) for i in ids)


def test_request_seeds_depend_on_every_part() -> None:
    base = (7, "difficulty", "c0", "p0", 0, 0)
    seed = request_seed(*base)
    others = [(8, *base[1:]), (7, "guess", *base[2:]), (7, "difficulty", "c1", *base[3:]), (*base[:3], "p1", 0, 0)]
    others += [(*base[:4], 1, 0), (*base[:5], 1)]
    assert seed == request_seed(*base) == 873388666  # a contract: stored samples depend on it
    assert all(request_seed(*other) != seed for other in others)
    assert 0 <= seed < 2**31


def test_wilson_by_hand() -> None:
    # Newcombe (1998), method 3: 81 of 263 and 0 of 10.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = wilson(0, 10)
    assert low == 0
    assert round(high, 4) == 0.2775
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1


def test_digest_ignores_key_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_every_reason_has_a_meaning() -> None:
    assert len(table()) == len(Reason)
    assert all(row["meaning"] and row["reason_code"].islower() for row in table())
