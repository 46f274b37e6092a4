"""The family of tiny programs: what its steps do, its suites, and coding problems as rows of a corpus."""

from __future__ import annotations

import io
import itertools
import sys
from contextlib import redirect_stdout
from random import Random

import pytest

from kimi_pipeline.corpora.families.drawing import items, worked_examples
from kimi_pipeline.corpora.families.programs import CASES, PROGRAMS, STEPS, expected, fenced, hidden_words, steps_of
from kimi_pipeline.corpora.families.registry import chosen
from kimi_pipeline.corpora.formats import Bounds, RawRow
from kimi_pipeline.corpora.normalise import Normaliser, Refusal
from kimi_pipeline.corpora.sources import Source
from kimi_pipeline.errors import UserError
from kimi_pipeline.models.tokenizer import build_tokenizer
from kimi_pipeline.problems import is_held_out, problem_id
from kimi_pipeline.reasons import Reason

SHARE = 0.2


def printed(program: str, word: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a program that this module wrote itself, run here."""
    told = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{word}\n"))
    with redirect_stdout(told):
        exec(program, {})
    return told.getvalue().strip()


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("reverse", "EDcba"),
        ("swap ends", "EbcDa"),
        ("sort letters", "DEabc"),
        ("two times", "abcDEabcDE"),
        ("three times", "abcDEabcDEabcDE"),
        ("add the reverse", "abcDEEDcba"),
        ("leave out first", "bcDE"),
        ("leave out last", "abcD"),
        ("rotate left 2", "cDEab"),
        ("rotate right 2", "DEabc"),
        ("start with H", "HabcDE"),
        ("end with H", "abcDEH"),
    ],
)
def test_each_step_does_what_its_name_says_and_so_does_its_python(step, after, monkeypatch):
    assert STEPS[step].apply("abcDE") == after
    assert printed(f"s=input();{STEPS[step].python};print(s)", "abcDE", monkeypatch) == after


def test_the_plain_program_prints_what_is_expected_and_the_prompt_alone_says_what_that_is(monkeypatch):
    for item in items(0, PROGRAMS, 60, False, SHARE):
        assert steps_of(item.prompt) == item.steps == steps_of(f"  {item.prompt}".replace(" ", "\n\t"))
        assert PROGRAMS.solution(item, Random(0)) == fenced(item.answer)
        for word in hidden_words(problem_id(item.prompt)):
            assert printed(item.answer, word, monkeypatch) == expected(item.steps, word)
            assert word not in item.prompt


def test_another_text_holds_no_steps():
    for text in ("What is 2 + 2?", "First reverse\nSecond jump\nPrint the word."):
        with pytest.raises(ValueError, match="no description"):
            steps_of(text)


def test_a_suite_tells_programs_apart_that_further_words_do():
    """Of all programs of two steps, six hidden words accept none that a thousand others reject (one problem in 37)."""
    further = hidden_words("further", 300)
    for wanted in list(itertools.product(STEPS, repeat=2))[::37]:
        hidden = hidden_words(repr(wanted))
        assert len(hidden) == CASES
        for other in itertools.product(STEPS, repeat=2):
            if all(expected(other, word) == expected(wanted, word) for word in hidden):
                assert all(expected(other, word) == expected(wanted, word) for word in further), (wanted, other)


def test_noise_makes_wrong_programs_and_both_sides_of_the_split_stay_apart():
    rng = Random(1)
    train, held_out = items(0, PROGRAMS, 200, False, SHARE), items(0, PROGRAMS, 200, True, SHARE)
    noisy = sum(PROGRAMS.solution(item, rng, 0.12) != fenced(item.answer) for item in train)
    assert 50 < noisy < 120
    assert all(is_held_out(problem_id(text), SHARE) for item in held_out for text in PROGRAMS.wordings(item))
    assert not any(is_held_out(problem_id(text), SHARE) for item in train for text in PROGRAMS.wordings(item))
    examples = list(worked_examples(0, 40, 0.0, 0.5, SHARE, weights={"programs": 1.0}))
    assert all(one.response.startswith("```\ns=input();") for one in examples)
    tokenizer = build_tokenizer()
    assert max(len(tokenizer(PROGRAMS.solution(item, rng))["input_ids"]) for item in train) < 120


def test_families_are_chosen_by_name():
    assert list(chosen(["programs", "coin"])) == ["programs", "coin"]
    with pytest.raises(UserError, match="no family 'prorgams'"):
        chosen(["prorgams"])
    with pytest.raises(UserError, match="evaluate checkpoints on"):
        chosen(["coin"])


SOURCE = Source(name="judge", kind="jsonl", path="x.jsonl", fields={"prompt": "statement", "submissions": "solutions"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("solutions", "count"),
    [
        ([{"language": "python", "program": "print(1)", "verdict": "accepted"}], 1),
        ('[{"language": "python", "program": "print(1)", "verdict": "wrong answer"}]', 1),
        ("print(1)", None),
        ([{"language": "python", "program": None, "verdict": "accepted"}], None),
        ([{"language": "python", "program": "\ud800", "verdict": "accepted"}], None),
    ],
)
def test_submissions_make_a_row_a_coding_problem_without_an_answer(solutions, count):
    found = Normaliser(SOURCE, Bounds())(RawRow("1", {"statement": "Print 1.", "solutions": solutions}))
    if count is None:
        assert isinstance(found, Refusal)
        assert found.reason is Reason.WRONG_TYPE
    else:
        assert not isinstance(found, Refusal)
        assert (found.answer, found.answer_kind, len(found.submissions)) == ("", "code", count)
