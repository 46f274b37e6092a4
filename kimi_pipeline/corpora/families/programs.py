"""The family `programs`: a short description of what happens to a word, answered by one line of Python (code).

Belongs here: its steps as text, function and Python, its wording, its solutions, the words that a program is tested on.
Does not belong here: running programs (`rewards/code.py`), storing suites (`testcases/constructed.py`).

What a program must print is known by construction: the steps of the description, as functions of this module. Any program
that prints it is right, whatever it looks like; the answer is the plain one. A word in the description has no bearing on
what is asked for: it makes many distinct prompts. 37 steps, up to five of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from kimi_pipeline.corpora.families.base import Item
from kimi_pipeline.corpora.families.steps import ORDINALS

LETTERS = "ABCDEFGH"  # that steps put in; words are of small letters and of these
WORD_LETTERS = "abcdefghijklmnopqrstuvwxyz" + LETTERS
SHORTEST, LONGEST = 8, 12  # letters of a word: five steps leave at least three, which every step is clear on
CASES = 6
WORDING = (
    ("Write one line of Python for a word such as {detail}", "Print the word."),
    ("One line of Python reads a word such as {detail}", "Print what it has become."),
)


class Step(NamedTuple):
    """What a step does to a word, and how the plain program says it. Steps of one `kind` are taken for each other."""

    apply: Callable[[str], str]
    python: str
    kind: str


def _steps() -> dict[str, Step]:
    found = {
        "reverse": Step(lambda s: s[::-1], "s=s[::-1]", "whole"),
        "swap ends": Step(lambda s: s[-1] + s[1:-1] + s[0], "s=s[-1]+s[1:-1]+s[0]", "whole"),
        "sort letters": Step(lambda s: "".join(sorted(s)), "s=''.join(sorted(s))", "whole"),
        "two times": Step(lambda s: s * 2, "s=s*2", "times"),
        "three times": Step(lambda s: s * 3, "s=s*3", "times"),
        "add the reverse": Step(lambda s: s + s[::-1], "s=s+s[::-1]", "times"),
        "leave out first": Step(lambda s: s[1:], "s=s[1:]", "ends"),
        "leave out last": Step(lambda s: s[:-1], "s=s[:-1]", "ends"),
    }
    for k in (1, 2, 3):
        found[f"rotate left {k}"] = Step(lambda s, k=k: s[k:] + s[:k], f"s=s[{k}:]+s[:{k}]", "rotate")  # type: ignore[misc]
        found[f"rotate right {k}"] = Step(lambda s, k=k: s[-k:] + s[:-k], f"s=s[-{k}:]+s[:-{k}]", "rotate")  # type: ignore[misc]
    for letter in LETTERS:
        found[f"start with {letter}"] = Step(lambda s, c=letter: c + s, f"s='{letter}'+s", "letter")  # type: ignore[misc]
        found[f"end with {letter}"] = Step(lambda s, c=letter: s + c, f"s=s+'{letter}'", "letter")  # type: ignore[misc]
    return found


STEPS = _steps()
_ORDINAL = re.compile(rf"\b(?:{'|'.join(ORDINALS)}) ")
_NAMED = re.compile(rf"{_ORDINAL.pattern}({'|'.join(sorted(STEPS, key=len, reverse=True))})(?= |$)")


def program(pieces: Sequence[str]) -> str:
    """One line of Python around the pieces of steps."""
    return ";".join(["s=input()", *pieces, "print(s)"])


def fenced(source: str) -> str:
    """A program as a response gives it."""
    return f"```\n{source}\n```"


def steps_of(prompt: str) -> tuple[str, ...]:
    """The steps of a description, however its white space was changed on the way (a corpus' copy of it is the same problem).
    Raises ValueError for a text that is none of this family's."""
    text = " ".join(prompt.split())
    found = tuple(_NAMED.findall(text))
    if not found or len(found) != len(_ORDINAL.findall(text)):
        raise ValueError(f"no description of steps: {text[:80]!r}")
    return found


def expected(steps: Sequence[str], word: str) -> str:
    """What a right program prints for a word."""
    for step in steps:
        word = STEPS[step].apply(word)
    return word


def hidden_words(problem_id: str, count: int = CASES) -> list[str]:
    """The words that programs for a problem are tested on, hidden from the prompt; the same for each call."""
    rng = Random(f"programs:{problem_id}")
    return [_word(rng) for _ in range(count)]


def _word(rng: Random, letters: str = WORD_LETTERS) -> str:
    return "".join(rng.choice(letters) for _ in range(rng.randint(SHORTEST, LONGEST)))


@dataclass(frozen=True)
class Programs:
    """Descriptions of one to five steps. See `Family`."""

    name: str = "programs"
    domain: str = "coding"
    discipline: str = "strings"
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    def draw(self, rng: Random, level: int | None = None) -> Item:
        """See `Family.draw`. No label: a guess has no room for a program."""
        level = rng.choice(self.levels) if level is None else level
        wording = rng.randrange(len(WORDING))
        detail = _word(rng, WORD_LETTERS[:26])
        steps = tuple(rng.choice(tuple(STEPS)) for _ in range(level))
        return Item(
            family=self.name,
            prompt=self._prompt(steps, detail, wording),
            answer=program([STEPS[step].python for step in steps]),
            answer_kind="code",
            level=level,
            start="",
            steps=steps,
            wording=wording,
            planted=None,
            detail=detail,
        )

    def wordings(self, item: Item) -> list[str]:
        return [self._prompt(item.steps, item.detail, wording) for wording in range(len(WORDING))]

    def reworded(self, item: Item) -> str:
        return self.wordings(item)[(item.wording + 1) % len(WORDING)]

    def solution(self, item: Item, rng: Random, noise: float = 0.0) -> str:
        """The program in a block. With `noise` each step is taken for another of its kind with that probability, is
        forgotten with a third of it, and changes places with the next one with a third of it."""
        steps = list(item.steps)
        if noise:
            steps = [self._mistaken(step, rng) if rng.random() < noise else step for step in steps]
            for place in range(len(steps) - 1):
                if rng.random() < noise / 3:
                    steps[place : place + 2] = steps[place + 1], steps[place]
            steps = [step for step in steps if rng.random() >= noise / 3]
        return fenced(program([STEPS[step].python for step in steps]))

    def _mistaken(self, step: str, rng: Random) -> str:
        kind = STEPS[step].kind
        return rng.choice([other for other in STEPS if STEPS[other].kind == kind and other != step])

    def _prompt(self, steps: Sequence[str], detail: str, wording: int) -> str:
        before, after = WORDING[wording]
        lines = [f"{ordinal} {step}" for ordinal, step in zip(ORDINALS, steps, strict=False)]
        return "\n".join([before.replace("{detail}", detail), *lines, after])


PROGRAMS = Programs()
