"""A corpus of any size for the bench of curation: drawn problems, rewordings of them, one template a hundred thousand times.

Belongs here: drawing the rows and their file. Does not belong here: what is done with it (`curation.py`).

70 % are problems of their own: two to four drawn sentences and a question, with drawn names, things and numbers. Numbers
are small more often than large, so that many problems share theirs. 20 % are rewordings, in clusters of up to 100 of which
most are small. 10 % are one sentence in which nothing but the numbers differs. The order is drawn as well.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.planting import NAMES, THINGS, reworded
from kimi_pipeline.files import whole_file

DISTINCT, REWORDED, TEMPLATE = "distinct", "near_duplicate", "template"
SHARES = {DISTINCT: 0.7, REWORDED: 0.2, TEMPLATE: 0.1}
LARGEST_CLUSTER = 100
KINDS = ("words", "words", "swapped", "reordered", "latex")

SCENES = (
    "{a} has {n} {x} and buys {n} boxes with {n} {x} each.",
    "{a} walks {n} kilometers to the {p} and rests there for {n} minutes.",
    "A train leaves the {p} at a speed of {n} kilometers per hour.",
    "The {p} sells {x} at ${n} a dozen and {y} at ${n} a piece.",
    "After {n} days {a} gives {n} {x} to {b}.",
    "In a school there are {n} classes with {n} pupils each.",
    "{a} is {n} years older than {b}, who turns {n} next year.",
    "A tank holds {n} liters of water and loses {n} liters every hour.",
    "{a} reads {n} pages on Monday and twice as many on Tuesday.",
    "Suppose that $x + y = {n}$ and $x \\cdot y = {n}$ for real numbers $x$ and $y$.",
    "Let $f(x) = {n}x^2 - {n}x + {n}$ for every real $x$.",
    "The sides of a rectangle measure ${n}$ and ${n}$ centimeters.",
    "A circle with radius ${n}$ touches both legs of a right triangle.",
    "The sequence starts with ${n}$, and each term is the one before it times $\\frac{{{n}}}{{{n}}}$.",
    "{a} and {b} share the cost of a dinner, which comes to ${n} with a tip of {n} percent.",
    "A farmer plants {n} rows of {x} with {n} seeds in each row near the {p}.",
    "{n} percent of the visitors of the {p} pay the full price of ${n}.",
    "An urn holds {n} red balls, {n} white balls and {n} black balls.",
    "{a} throws two dice {n} times while {b} keeps the score.",
    "The polynomial $P$ has degree ${n}$ and satisfies $P({n}) = {n}$.",
    "A machine fills {n} bottles in {n} minutes, another one needs {n} minutes for as many.",
    "{b} saves ${n} a week and already has ${n} in the bank.",
    "The number $m$ leaves a remainder of ${n}$ when it is divided by ${n}$.",
    "Point $D$ lies on side $BC$ with $BD = {n}$ and $DC = {n}$.",
    "Each of the {n} shelves in the {p} carries {n} {y}.",
    "A recipe asks for {n} grams of flour and {n} eggs for every {n} cookies.",
    "On the way home {a} loses {n} {y} and finds {n} {x}.",
    "The committee has {n} members, of whom {n} speak French.",
)
QUESTIONS = (
    "How many {x} does {a} have now?",
    "What total distance does {a} cover during the whole journey?",
    "How much money is left in the end?",
    "Find the value of $x^2 + y^2 + {n}$ and give it exactly.",
    "What is the area of the remaining figure in square centimeters?",
    "Determine the sum of all possible values of $m$.",
    "What is the probability that both are of one color? Give it as a reduced fraction.",
    "How many hours does it take until nothing is left?",
    "Compute $f({n}) - f({n})$.",
    "In how many ways can this be done if the order does not matter?",
    "How old will {b} be in {n} years?",
    "What is the largest number of {y} that {a} can pay for with ${n}?",
    "Find the remainder when the result is divided by ${n}$.",
    "By how many percent does the price rise in the {p}?",
    "What is the length of the shortest side?",
    "How many more {x} than {y} are there at the end of the week?",
)
PLACES = (
    "station",
    "market",
    "library",
    "bakery",
    "museum",
    "harbor",
    "school",
    "garden",
    "theater",
    "farm",
    "airport",
)
ONE_TEMPLATE = (
    "{a} has {n} apples and buys {n} bags with {n} apples each. Then {n} apples go bad. How many apples are good?"
)


def rows(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`count` rows with prompt, answer, planted (which of the three kinds) and cluster (the number of the problem
    that a row is, or rewords), in a drawn order."""
    rng = random.Random(seed)
    planned = {kind: int(share * count) for kind, share in SHARES.items()}
    planned[DISTINCT] += count - sum(planned.values())
    drawn = [*_distinct(planned[DISTINCT], planned[REWORDED], rng), *_one_template(planned[TEMPLATE], rng)]
    cluster = -1
    numbered = []
    for prompt, answer, kind in drawn:
        cluster += kind != REWORDED  # rewordings follow their problem
        numbered.append({"prompt": prompt, "answer": answer, "planted": kind, "cluster": cluster})
    rng.shuffle(numbered)
    yield from numbered


def write(path: Path, count: int, seed: int = 0) -> Path:
    """The rows as JSON lines; a file that is there already is not drawn again."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as scratch, scratch.open("w") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(count, seed))
    return path


def problem(rng: random.Random) -> str:
    """A drawn problem."""
    a, b = rng.sample(NAMES, 2)
    x, y = rng.sample(THINGS, 2)
    words = {"a": a, "b": b, "x": x, "y": y, "p": rng.choice(PLACES)}
    sentences = [*rng.sample(SCENES, rng.choice((1, 2, 2, 3, 3, 4))), rng.choice(QUESTIONS)]
    return " ".join(_filled(sentence, words, rng) for sentence in sentences)


def _distinct(count: int, copies: int, rng: random.Random) -> Iterator[tuple[str, int, str]]:
    seen: set[int] = set()
    sizes = _cluster_sizes(copies, rng)
    while len(seen) < count:
        text = problem(rng)
        if hash(text) in seen:
            continue
        seen.add(hash(text))
        answer = rng.randrange(10_000)
        yield text, answer, DISTINCT
        for _ in range(next(sizes, 0)):
            yield reworded(text, rng.choice(KINDS), rng), answer, REWORDED


def _cluster_sizes(copies: int, rng: random.Random) -> Iterator[int]:
    """How many rewordings a problem has: most few, some up to 99 (Pareto); `copies` in all."""
    left = copies
    while left:
        size = min(left, LARGEST_CLUSTER - 1, int(rng.paretovariate(1.0)))
        yield size
        left -= size


def _one_template(count: int, rng: random.Random) -> Iterator[tuple[str, int, str]]:
    for numbers in itertools.islice(itertools.product(range(2, 60), range(2, 60), range(2, 60)), count):
        values = iter((*numbers, min(numbers)))
        text = ONE_TEMPLATE.replace("{a}", "Anna")
        while "{n}" in text:
            text = text.replace("{n}", str(next(values)), 1)
        yield text, numbers[0] + numbers[1] * numbers[2] - min(numbers), TEMPLATE


def _filled(sentence: str, words: dict[str, str], rng: random.Random) -> str:
    parts = sentence.replace("{{", "\x01").replace("}}", "\x02").split("{n}")
    text = parts[0] + "".join(_number(rng) + part for part in parts[1:])
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text.replace("\x01", "{").replace("\x02", "}")


def _number(rng: random.Random) -> str:
    most = 12 if (drawn := rng.random()) < 0.5 else 100 if drawn < 0.85 else 1000
    return str(rng.randrange(2, most))
