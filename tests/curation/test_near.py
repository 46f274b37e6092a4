"""Near-duplicates: planted pairs whose truth is known by construction, and the rules one by one."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.bench.planting import other_numbers, problems, reworded
from kimi_pipeline.curation.near import clusters, signatures, whole_groups
from kimi_pipeline.curation.wording import NUMBER_WORDS, moved_together, numbers, signature, strength, tokens
from kimi_pipeline.curation.words import Words


def clustered(texts: list[str], answers: list[str | None] | None = None) -> list[set[int]]:
    """Which of the texts are one problem, as sets of their places."""
    ids = [f"{place:06d}" for place in range(len(texts))]
    rows = pa.table({"problem_id": ids, "text": texts, "answer": pa.array(answers or [None] * len(ids), pa.string())})
    found = clusters(rows.append_column("signature", signatures(rows).column("signature")))
    groups: dict[str, set[int]] = {}
    for identity, cluster in zip(*(column.to_pylist() for column in found.columns), strict=True):
        groups.setdefault(cluster, set()).add(int(identity))
    return list(groups.values())


@pytest.mark.parametrize("kind", ["words", "swapped", "reordered", "latex"])
def test_planted_rewordings_are_found(kind: str) -> None:
    rng = random.Random(7)
    texts = problems(400, rng)
    pairs = clustered([each for text in texts for each in (text, reworded(text, kind, rng))])
    found = sum({2 * k, 2 * k + 1} in pairs for k in range(len(texts)))
    assert found / len(texts) >= 0.95


def test_problems_that_differ_in_their_numbers_are_kept() -> None:
    rng = random.Random(8)
    texts = problems(600, rng)
    merged = clustered([each for text in texts for each in (text, other_numbers(text, rng))])
    assert sum(map(len, merged)) <= 0.01 * 2 * len(texts)


def test_one_template_with_other_numbers_never_meets() -> None:
    assert (
        clustered([f"Tom has {k} apples and buys {k % 97} more. How many apples has he now?" for k in range(3000)])
        == []
    )


def test_a_large_cluster_is_one_cluster() -> None:
    rng = random.Random(9)
    (text,) = problems(1, rng)
    (cluster,) = clustered([text, *(reworded(text, rng.choice(["words", "swapped"]), rng) for _ in range(99))])
    assert len(cluster) >= 98


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tom has 3 apples. How many is that?", "Tom has 5 apples. How many is that?"),
        ("Tom has three apples. How many is that?", "Tom has five apples. How many is that?"),
        ("Tom has 3 apples and 5 pears left today.", "Tom has 5 apples and 3 pears left today."),
        ("Find the distance of the point (3, 5) to the line.", "Find the distance of the point (5, 3) to the line."),
        ("Solve x = -3 for the value of y in y = x^2.", "Solve x = 3 for the value of y in y = x^2."),
        ("What is the sum of the roots of x^2 - 3x + 2?", "What is the sum of the roots of x^2 + 3x - 2?"),
        ("Find $\\sin 30^\\circ$ to 2 places.", "Find $\\cos 30^\\circ$ to 2 places."),
        ("Below is the graph of $y = ax + b$ at (1, 2). Find $a$.", "Below is the graph of $y = ax + b$ at (1, 2). Find $b$."),
        ("How many of the 12 are taller than the 3 of us?", "How many of the 12 are shorter than the 3 of us?"),
        ("Let $f(x)$ be odd. Is $f(f(f(x)))$ even or odd?", "Let $f(x)$ be odd. Is $f(f(x))$ even or odd?"),
        ("小明有3个苹果,小红有5个苹果,一共有多少个?", "小明有4个苹果,小红有5个苹果,一共有多少个?"),
        ("小明有三个苹果,小红有五个苹果,一共有多少个?", "小明有四个苹果,小红有五个苹果,一共有多少个?"),
    ],
)  # fmt: skip
def test_other_problems_stay_apart(one: str, other: str) -> None:
    assert clustered([one, other]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is $\\frac{1}{2} + \\dfrac13$?", "What is \\( \\tfrac{1}{2}+\\frac{1}{3} \\) ?"),
        ("Tom has twenty-five apples and eats two hundred nuts.", "Tom has 25 apples and eats 200 nuts."),
        ("She pays $1,250 for 3.50 pounds.", "She pays 1250 dollars for 3.5 pounds."),
        ("Let $x \\leq 5$ and $2 \\cdot x = 7$.", "Let $x\\le 5$ and $2\\times x=7$."),
        ("小明有3个苹果,小红有5个苹果,一共有多少个?", "小明有三个苹果，小红有五个苹果，一共有多少个？"),
    ],
)
def test_restyled_problems_are_one(one: str, other: str) -> None:
    assert clustered([one, other]) == [{0, 1}]


def test_another_answer_is_another_problem() -> None:
    one = "A team has 26 members, of whom 16 came: half of the girls and all of the boys. How many boys are there?"
    other = one.replace("many boys", "many girls")
    assert clustered([one, other], ["6", "20"]) == []
    assert clustered([one, other], ["6", "6.0"]) == [{0, 1}]
    assert clustered([one, other], ["6", None]) == [{0, 1}]


def test_numbers_by_hand() -> None:
    assert numbers(tokens("Ten of 1,200 are 3.50; twenty-five hundred is twice 1250"), "") == [
        "10", "1200", "3.5", "2500", "x2", "1250",
    ]  # fmt: skip
    assert numbers(tokens("triangle ABC"), "triangle ABC") == ["ABC"]
    assert signature(["3", "5"]) == signature(["5", "3"]) != signature(["3", "3", "5"])
    assert moved_together(tokens("If 3 men work and 5 rest"), tokens("5 rest, if 3 men work"))


def test_shards_hold_whole_groups() -> None:
    signed = sorted([7] * 50 + [9] * 3 + list(range(100, 160)) + [500] * 40)
    batches = [pa.table({"signature": signed[k : k + 10]}) for k in range(0, len(signed), 10)]
    shards = [shard.column("signature").to_pylist() for shard in whole_groups(iter(batches), 25)]
    assert [each for shard in shards for each in shard] == signed
    assert all(not set(one) & set(other) for k, one in enumerate(shards) for other in shards[:k])
    assert len(shards) > 2


WRITTEN = st.sampled_from(
    [
        "\\frac12",
        "\\left(",
        "-3",
        "1,234.50",
        "{,}",
        "ABC",
        "x-y",
        "well-known",
        "$",
        "\x00",
        "\u2212",
        "三",
        "ＡＢ",
        " ",
        ". ",
    ]
)


@given(st.lists(st.lists(st.one_of(st.sampled_from(sorted(NUMBER_WORDS)), WRITTEN, st.text(max_size=8)), max_size=12)))
def test_words_of_many_texts_are_the_tokens_of_each(drawn: list[list[str]]) -> None:
    texts = [" ".join(parts).replace("\x00", " ") for parts in drawn]
    words = Words.of(texts)
    assert list(words) == [tokens(text) for text in texts]
    figures = [numbers(tokens(text), text) for text in texts]
    assert words.figures() == figures
    assert words.signatures().tolist() == [signature(each) for each in figures]
    assert words.strength().tolist() == [strength(each) for each in figures]


def test_order_of_numbers_tells_texts_apart() -> None:
    one, same, other = Words.of(["3 apples, 5 pears", "of 3 and 5", "5 apples, 3 pears"]).in_order().tolist()
    assert one == same != other
