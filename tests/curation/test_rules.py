from __future__ import annotations

import pyarrow as pa
import pytest

from kimi_pipeline.curation.decide import Figures, bucket, decide_difficulty, decide_guessability
from kimi_pipeline.curation.evaluability import evaluate
from kimi_pipeline.curation.guessability import by_chance
from kimi_pipeline.curation.recipe import Recipe, load_recipe, recipe_names
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.reasons import Reason

EVALUABILITY = [
    ("What is 2 + 2?", "4", Reason.EVALUABLE),
    ("Which of the following is prime? 4, 6, 7", "7", Reason.MULTIPLE_CHOICE),
    ("What is 2 + 2?\n(A) 3 (B) 4 (C) 5", "4", Reason.MULTIPLE_CHOICE),
    ("What is 2 + 2? A. 3 B. 4 C. 5", "B", Reason.MULTIPLE_CHOICE),
    ("True or false: 7 is prime.", "True", Reason.TRUE_FALSE),
    ("Is it true that 7 is prime?", "yes", Reason.TRUE_FALSE),
    ("Is 91 prime?", "No", Reason.TRUE_FALSE),
    ("Prove that the square root of 2 is irrational.", "see proof", Reason.PROOF),
    ("Let n be odd. Show that n^2 is odd.", "n^2 = 4k^2+4k+1", Reason.PROOF),
    ("Give a proof that 6n is even.", "6n = 2(3n)", Reason.PROOF),
    # the words alone are no reason
    ("Show your work. How many apples are left?", "3", Reason.EVALUABLE),
    ("For how many n is it true that n < 5 and n > 0?", "4", Reason.EVALUABLE),
    (
        "Points A, B and C lie on a circle. (a) AB = 3, (b) BC = 4, (c) AC = 5. Find the radius.",
        "2.5",
        Reason.EVALUABLE,
    ),
    ("Show that the series converges and find its sum.", "2", Reason.EVALUABLE),
    ("Triangle A. B. Smith drew has sides 3, 4, 5. What is its area?", "6", Reason.EVALUABLE),
]


@pytest.mark.parametrize(("prompt", "answer", "reason"), EVALUABILITY)
def test_evaluability(prompt: str, answer: str, reason: Reason) -> None:
    found, where = evaluate(prompt, answer)
    assert found is reason
    assert bool(where) == (reason is not Reason.EVALUABLE)
    if where.startswith("prompt:"):
        start, end = map(int, where.removeprefix("prompt:").split("-"))
        assert 0 <= start < end <= len(prompt)


def test_options_as_a_field() -> None:
    assert evaluate("What is it?", "x", ["x", "y"]) == (Reason.MULTIPLE_CHOICE, "options")


def figures(n: int, correct: int, hit_at: int | None = None, domain: str = "m", name: str = "p") -> Figures:
    return Figures(name, domain, n, correct, hit_at)


RECIPE = Recipe(name="r", min_pass_rate=0.0, max_pass_rate=1.0, keep_unsolved=True)


def test_difficulty_thresholds() -> None:
    assert decide_difficulty(figures(10, 10), RECIPE) is Reason.TRIVIAL
    assert decide_difficulty(figures(10, 9), RECIPE) is Reason.SOLVABLE
    assert decide_difficulty(figures(10, 0), RECIPE) is Reason.UNSOLVED
    assert decide_difficulty(figures(0, 0), RECIPE) is Reason.NO_VERDICT
    strict = RECIPE.model_copy(update={"keep_unsolved": False, "min_pass_rate": 0.1, "max_pass_rate": 0.8})
    assert decide_difficulty(figures(10, 0), strict) is Reason.HOPELESS
    assert decide_difficulty(figures(10, 1), strict) is Reason.HOPELESS
    assert decide_difficulty(figures(10, 2), strict) is Reason.SOLVABLE
    assert decide_difficulty(figures(10, 8), strict) is Reason.TRIVIAL


def test_one_right_guess_is_enough() -> None:
    assert decide_guessability(figures(10, 5, hit_at=8)) is Reason.EASY_TO_HACK
    assert decide_guessability(figures(10, 5)) is Reason.NOT_GUESSED


def test_buckets() -> None:
    assert [bucket(rate) for rate in (0, 0.1, 0.3, 0.7, 0.8)] == ["unsolved", "hard", "medium", "medium", "easy"]


def test_by_chance_by_hand() -> None:
    rows = [
        {"problem_id": str(k), "answer": "0" if k < 5 else "1", "source": "s", "discipline": "d", "family": "f"}
        | {"answer_kind": "integer"}
        for k in range(10)
    ]
    chance = by_chance(pa.Table.from_pylist(rows), 8)
    assert chance["0"] == pytest.approx(1 - 0.5**8)


def test_recipes(home: Home) -> None:
    assert {"laptop", "smoke", "hard", "smol"} <= set(recipe_names(home))
    (home.recipes / "mine.toml").write_text("max_size = 5\n")
    assert load_recipe(home, "mine").max_size == 5
    (home.recipes / "bad.toml").write_text("max_siz = 5\n")
    with pytest.raises(UserError, match=r"bad.toml: max_siz"):
        load_recipe(home, "bad")
    with pytest.raises(UserError, match="no recipe"):
        load_recipe(home, "absent")
