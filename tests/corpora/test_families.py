"""The built-in families: right answers, one side of the split, labels by construction, honest planted rows."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.corpora.families import (
    EASY,
    FAMILIES,
    HARD,
    builtin_rows,
    evaluation_problems,
    items,
    problems,
    worked_examples,
)
from kimi_pipeline.corpora.families.base import Family
from kimi_pipeline.corpora.families.planted import PLANTED, planted_count
from kimi_pipeline.corpora.families.registry import PLAIN
from kimi_pipeline.corpora.families.steps import StepFamily
from kimi_pipeline.corpora.families.stock import STOCK
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import ANSWER_KINDS, is_held_out, problem_id

SHARE = 0.2
STEP_FAMILIES = [family for family in FAMILIES.values() if isinstance(family, StepFamily)]
every_family = pytest.mark.parametrize("family", [*FAMILIES.values(), *PLAIN], ids=lambda family: family.name)
hard_family = pytest.mark.parametrize("family", HARD, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def evaluation() -> list:
    return evaluation_problems(0, HARD, 120, SHARE)


@pytest.fixture(scope="module")
def rows(evaluation) -> list[dict]:
    return list(builtin_rows(0, 60, SHARE, evaluation))


def final_answer(response: str) -> str:
    match = re.fullmatch(r"\\boxed\{(.*)\}", response.splitlines()[-1])
    assert match, response
    return match[1]


@pytest.mark.parametrize(
    ("family", "step", "before", "after"),
    [
        ("register", "rotate left", "1234", "2341"),
        ("register", "rotate right", "1234", "4123"),
        ("register", "reverse", "1234", "4321"),
        ("register", "swap ends", "1234", "4231"),
        ("register", "swap middle", "1234", "1324"),
        ("register", "swap halves", "1234", "3412"),
        ("register", "add one", "1290", "2301"),
        ("register", "subtract one", "1290", "0189"),
        ("recurrence", "repeat the oldest", "5678", "6785"),
        ("recurrence", "oldest plus one", "9678", "6780"),
        ("recurrence", "oldest minus one", "0678", "6789"),
        ("recurrence", "repeat the newest", "5678", "6788"),
        ("recurrence", "newest plus one", "5679", "6790"),
        ("recurrence", "newest minus one", "5678", "6787"),
        ("queue", "front to back", "ABCDEF", "BCDEFA"),
        ("queue", "back to front", "ABCDEF", "FABCDE"),
        ("queue", "turn around", "ABCDEF", "FEDCBA"),
        ("queue", "outer two swap", "ABCDEF", "FBCDEA"),
        ("queue", "inner two swap", "ABCDEF", "ABDCEF"),
        ("queue", "front two swap", "ABCDEF", "BACDEF"),
        ("queue", "back two swap", "ABCDEF", "ABCDFE"),
        ("queue", "halves swap", "ABCDEF", "DEFABC"),
        ("coin", "turn it over", "heads", "tails"),
        ("coin", "leave it", "heads", "heads"),
        ("coin", "turn it twice", "tails", "tails"),
        ("coin", "turn it thrice", "tails", "heads"),
        ("coin", "slide it aside", "tails", "tails"),
    ],
)
def test_each_step_does_what_its_name_says(family, step, before, after):
    assert FAMILIES[family].steps[step](before) == after


def test_the_table_above_names_every_step():
    table = test_each_step_does_what_its_name_says.pytestmark[0].args[1]
    assert {(family, step) for family, step, _, _ in table} == {
        (family.name, step) for family in STEP_FAMILIES for step in family.steps
    }


@every_family
@given(seed=st.integers(0, 2**32))
def test_a_clean_solution_ends_in_the_answer(family: Family, seed: int):
    rng = Random(seed)
    item = family.draw(rng)
    assert final_answer(family.solution(item, rng)) == item.answer
    assert item.answer_kind in ANSWER_KINDS
    assert item.prompt in family.wordings(item)
    assert family.reworded(item) != item.prompt


@every_family
def test_noise_makes_some_answers_wrong_and_zero_noise_uses_no_randomness(family: Family):
    rng = Random(5)
    drawn = [family.draw(rng) for _ in range(300)]
    wrong = sum(final_answer(family.solution(item, rng, 0.3)) != item.answer for item in drawn)
    assert 30 < wrong < 270
    assert all(family.solution(item, Random(1)) == family.solution(item, Random(2)) for item in drawn)


def test_noisy_solutions_hold_plans_checks_and_restatements_and_clean_ones_none():
    rng = Random(0)
    drawn = [FAMILIES["register"].draw(rng) for _ in range(200)]
    noisy = "\n".join(FAMILIES["register"].solution(item, rng, 0.1) for item in drawn)
    clean = "\n".join(FAMILIES["register"].solution(item, rng) for item in drawn)
    for mark in ("Plan:", "Again ", "Now no change"):
        assert mark in noisy
        assert mark not in clean


def test_a_shop_never_has_less_than_a_box_and_its_story_is_told_in_order():
    rng = Random(0)
    for _ in range(2_000):
        item = STOCK.draw(rng)
        has, lines = int(item.start), STOCK.solution(item, rng).splitlines()
        moves = re.findall(r"(sells|gets) (\d+)", item.prompt)
        assert [f"{'-' if verb == 'sells' else '+'}{moved}" for verb, moved in moves] == list(item.steps)
        for (verb, moved), line in zip(moves, lines, strict=False):
            before, has = has, has + (-int(moved) if verb == "sells" else int(moved))
            assert has >= 1
            assert line == f"{before} {'-' if verb == 'sells' else '+'} {moved} = {has}"
        assert str(has) == item.answer
        assert len(lines) == item.level + 1
        for one, again in itertools.pairwise(STOCK.solution(item, rng, 0.5).splitlines()):
            if again.startswith("Again "):
                asked, found = again.removeprefix("Again ").split(" = ")
                assert one.startswith(f"{asked} = ")
                before, sign, moved = asked.split()
                assert int(before) + int(sign + moved) == int(found)


@pytest.mark.parametrize("family", STEP_FAMILIES, ids=lambda family: family.name)
def test_a_check_repairs_the_slip_before_it(family):
    rng = Random(1)
    repaired = 0
    for _ in range(500):
        item = family.draw(rng)
        lines = family.solution(item, rng, 0.5).splitlines()
        for one, two in itertools.pairwise(lines):
            if two.startswith("Again "):
                assert two.split(" gives ")[0].split(" ", 1)[1] == one.split(" gives ")[0].split(" ", 1)[1]
                repaired += one.split(" gives ")[1] != two.split(" gives ")[1]
    assert repaired > 50


@hard_family
def test_hard_families_have_a_large_space_and_many_answers(family: Family):
    rng = Random(0)
    drawn = [family.draw(rng) for _ in range(20_000)]
    assert len({item.prompt for item in drawn}) > 18_000
    answers = Counter(item.answer for item in drawn)
    assert len(answers) > 2_500
    assert answers.most_common(1)[0][1] < 0.005 * len(drawn)
    assert {item.level for item in drawn} == {1, 2, 3, 4, 5}


@hard_family
def test_integer_answers_have_one_spelling_only(family: Family):
    drawn = items(0, family, 500, False, SHARE)
    for item in drawn:
        if item.answer_kind == "integer":
            assert str(int(item.answer)) == item.answer


def test_domains():
    assert Counter(family.domain for family in HARD) == {"mathematics": 2, "general_reasoning": 1}
    assert {family.domain for family in EASY} == {"mathematics", "general_reasoning"}


@pytest.mark.parametrize("family", EASY, ids=lambda family: family.name)
def test_guessable_means_eight_draws_from_the_prior_hit(family: Family):
    drawn = items(0, family, 1000, False, SHARE)
    prior = Counter(item.answer for item in drawn)
    assert len(prior) == 2
    for answer in prior:
        miss = (1 - prior[answer] / len(drawn)) ** 8
        assert miss <= 0.01
    assert {item.planted for item in drawn} == {"guessable"}


@hard_family
def test_not_guessable_means_a_tiny_prior_and_more_than_two_steps_away(family: Family):
    drawn = [item for item in items(0, family, 1000, False, SHARE) if item.planted == "not_guessable"]
    assert len(drawn) > 100
    prior = Counter(item.answer for item in items(1, family, 5000, False, SHARE))
    for item in drawn:
        assert item.level >= 3
        assert item.answer not in family.within(item.start, 2)
        assert 1 - (1 - prior[item.answer] / 5000) ** 8 <= 0.02


@every_family
def test_the_two_sides_never_share_an_item_in_any_wording(family: Family):
    train = items(0, family, 300, False, SHARE)
    held_out = items(0, family, 300, True, SHARE)
    assert all(not is_held_out(problem_id(prompt), SHARE) for item in train for prompt in family.wordings(item))
    assert all(is_held_out(problem_id(prompt), SHARE) for item in held_out for prompt in family.wordings(item))
    assert len({problem_id(item.prompt) for item in [*train, *held_out]}) == 600


@every_family
def test_problems_are_a_function_of_the_seed_and_a_prefix_of_more(family: Family):
    first = problems(3, family, 40, False, SHARE)
    assert first == problems(3, family, 60, False, SHARE)[:40]
    assert first != problems(4, family, 40, False, SHARE)
    assert {problem.labels["level"] for problem in first} == {"1", "2", "3", "4", "5"}
    assert len({problem.source_row for problem in first}) == 40


def test_an_empty_side_is_one_clear_line():
    with pytest.raises(UserError, match="held_out_share"):
        problems(0, FAMILIES["register"], 2, True, 0.0)


def test_evaluation_problems_take_the_families_in_turn(evaluation):
    assert len(evaluation) == 120
    assert Counter(problem.labels["family"] for problem in evaluation) == dict.fromkeys(
        [family.name for family in HARD], 40
    )


def test_worked_examples_are_training_side_in_both_formats_and_reproducible():
    drawn = list(worked_examples(0, 600, 0.1, 0.25, SHARE))
    assert drawn[:200] == list(worked_examples(0, 200, 0.1, 0.25, SHARE))
    assert {example.family for example in drawn} == set(FAMILIES)
    guesses = [example for example in drawn if example.format == "guess"]
    assert 0.18 < len(guesses) / len(drawn) < 0.32
    assert {example.family for example in guesses} == set(FAMILIES)
    for example in drawn:
        assert not is_held_out(example.problem_id, SHARE)
        assert (example.response.count("\n") == 0) == (example.format == "guess")


def test_same_seed_same_rows_in_another_process():
    """No salted hash, no set order."""
    program = (
        "from kimi_pipeline.corpora.families import *; from kimi_pipeline.digests import digest;"
        "print(digest(repr(list(builtin_rows(0, 12, 0.2, evaluation_problems(0, HARD, 12, 0.2), 2000)))))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        ).stdout
        for salt in ("1", "2")
    }
    assert len(runs) == 1


def test_families_import_without_torch():
    program = "import kimi_pipeline.corpora.families, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


class TestPlantedRows:
    def test_counts(self, rows):
        planted = Counter(row["planted"] for row in rows)
        assert set(planted) - {None} == set(PLANTED)
        for kind in PLANTED[2:-1]:
            assert planted[kind] == planted_count(60) == 12
        assert planted["wrong_reference"] == 6  # 2 % of the families' rows
        assert planted_count(500) == 40
        assert len({row["row"] for row in rows}) == len(rows)

    def test_exact_duplicates_have_the_id_of_an_earlier_row(self, rows):
        seen = set()
        for row in rows:
            if row["planted"] == "malformed":
                continue
            own = problem_id(row["prompt"])
            if row["planted"] == "exact_duplicate":
                assert own in seen
            else:
                assert own not in seen
            seen.add(own)

    def test_wrong_references_are_new_parity_problems_with_the_other_remainder(self, rows):
        for row in rows:
            if row["planted"] == "wrong_reference":
                number = int(re.search(r"\d{4,}", row["prompt"])[0])
                assert row["family"] == "parity"
                assert row["answer"] == str(1 - number % 2)

    def test_some_duplicates_differ_in_white_space(self, rows):
        texts = {row["prompt"] for row in rows if row["planted"] in ("guessable", "not_guessable", None)}
        copies = [row["prompt"] in texts for row in rows if row["planted"] == "exact_duplicate"]
        assert set(copies) == {True, False}

    def test_near_duplicates_are_new_ids_with_the_same_numbers_on_the_training_side(self, rows):
        numbers = {tuple(re.findall(r"\d+|\b[A-H]{6}\b", row["prompt"])) for row in rows if row.get("family")}
        near = [row for row in rows if row["planted"] == "near_duplicate"]
        for row in near:
            assert tuple(re.findall(r"\d+|\b[A-H]{6}\b", row["prompt"])) in numbers
            assert not is_held_out(problem_id(row["prompt"]), SHARE)

    def test_evaluation_copies_have_the_id_of_an_evaluation_problem(self, rows, evaluation):
        ids = {problem.problem_id for problem in evaluation}
        copies = {problem_id(row["prompt"]) for row in rows if row["planted"] == "evaluation_copy"}
        assert len(copies) == 12
        assert copies <= ids
        others = {problem_id(row["prompt"]) for row in rows if row["planted"] not in ("evaluation_copy", "malformed")}
        assert not others & ids

    def test_unsuitable_kinds_are_distinct_and_show_their_kind(self, rows):
        for row in rows:
            text = row.get("prompt")
            if row["planted"] == "multiple_choice":
                assert row["options"] or re.search(r"A[).]", text)
            elif row["planted"] == "true_false":
                assert re.search(r"true.{1,4}false|yes or no", text, re.IGNORECASE)
            elif row["planted"] == "proof":
                assert re.search(r"pro(ve|of)|show that|demonstrate", text, re.IGNORECASE)

    def test_ordinary_rows_look_like_none_of_the_unsuitable_kinds(self, rows):
        for row in rows:
            if row.get("family"):
                assert not re.search(r"true|false|yes|prove|show that|option|\([A-E]\)", row["prompt"], re.IGNORECASE)

    def test_malformed_rows_are_what_they_say(self, rows):
        reasons = Counter(row["expected_reason"] for row in rows if row["planted"] == "malformed")
        assert set(reasons) == {
            "empty_prompt",
            "missing_prompt",
            "missing_answer",
            "wrong_type",
            "invalid_utf8",
            "too_long",
        }
        for row in rows:
            reason = row.get("expected_reason")
            if reason == "too_long":
                assert len(row["prompt"].encode()) > 1_000_000
            elif reason == "invalid_utf8":
                broken = row["prompt"] if isinstance(row["prompt"], bytes) else row["answer"]
                with pytest.raises(UnicodeDecodeError):
                    broken.decode()
