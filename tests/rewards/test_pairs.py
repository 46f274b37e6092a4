"""The verifier against truth: pairs made by hand, real references, symmetry, and the fast path against the slow one."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline.corpora.normalise import answer_kind
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.rules import same_answer
from kimi_pipeline.rewards.verifier import Verifier

PAIRS = Path(__file__).parent / "data" / "pairs.jsonl"
SYMMETRIC = ("integer", "rational", "real", "expression")
ABSTAINED = 15  # of 721: docs/rewards.md


def rows() -> list[dict[str, object]]:
    return [json.loads(line) for line in PAIRS.read_text().strip().split("\n")]


def expanded() -> list[tuple[str, str, str, str, bool]]:
    """(category, kind, reference, answer, right)"""
    return [
        (row["category"], row["kind"], row["reference"], answer, right)  # type: ignore[misc]
        for row in rows()
        for right, answers in ((True, row["right"]), (False, row["wrong"]))
        for answer in answers  # type: ignore[attr-defined]
    ]


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier()


def test_pairs_made_by_hand_get_no_false_verdict(verifier: Verifier) -> None:
    pairs = expanded()
    assert len(pairs) >= 400 and len({category for category, *_ in pairs}) >= 20
    found = [one for (one,) in verifier.verify_groups([(ref, [answer], kind) for _, kind, ref, answer, _ in pairs])]
    false, abstained = [], []
    for pair, verdict in zip(pairs, found, strict=True):
        if verdict.status is Status.UNVERIFIABLE:
            assert verdict.reason == "undecided", pair
            abstained.append(pair)
        elif verdict.status is not (Status.CORRECT if pair[4] else Status.WRONG):
            false.append((pair, verdict))
    assert not false
    assert len(abstained) <= ABSTAINED, abstained


def test_numbers_and_expressions_are_compared_the_same_way_from_both_sides(verifier: Verifier) -> None:
    """For one value against one value. Words and equations around an answer are taken off answers alone, so those are
    compared in the direction reference, answer."""
    pairs = [pair for pair in expanded() if pair[1] in SYMMETRIC and plain(pair[3]) and plain(pair[2])]
    there = verifier.verify_groups([(ref, [answer], kind) for _, kind, ref, answer, _ in pairs])
    back = verifier.verify_groups([(answer, [ref], kind) for _, kind, ref, answer, _ in pairs])
    assert len(pairs) > 250
    assert [
        (pair, one.status, other.status)
        for pair, (one,), (other,) in zip(pairs, there, back, strict=True)
        if one.status is not other.status
    ] == []


def plain(text: str) -> bool:
    return not any(
        mark in text for mark in ("=", ",", " or ", " and ", "\\pm", ";", "phantom", "hspace", "% ", "boxed", "和")
    )


# -- the fast path against the slow one --------------------------------------------------------------------------------


def spellings(value: Fraction) -> st.SearchStrategy[str]:
    """Ways to write one rational number that the fast path reads."""
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    ways = [
        f"{sign}\\frac{{{top}}}{{{bottom}}}",
        f"{sign}{top}/{bottom}",
        f"{sign}\\dfrac{{{2 * top}}}{{{2 * bottom}}}",
    ]
    if bottom == 1:
        ways += [f"{sign}{top}", f"{sign}{top:,}", f"{sign}{top}.0"]
    elif 10**6 % bottom == 0:
        ways.append(f"{sign}{top * 10**6 // bottom // 10**6}.{top * 10**6 // bottom % 10**6:06d}")
    else:
        ways.append(f"{float(value):.8f}")
    return st.sampled_from(ways)


numbers = st.one_of(
    st.integers(-2000, 2000).map(Fraction),
    st.fractions(-50, 50, max_denominator=40),
    st.integers(-(10**6), 10**6).map(lambda n: Fraction(n, 1000)),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_fast_path_agrees_with_the_slow_one(data: st.DataObject) -> None:
    """What the rules say of two plain numbers, algebra says too, reading the same texts by another program."""
    from kimi_pipeline.rewards import symbolic

    left = data.draw(numbers)
    right = data.draw(st.one_of(st.just(left), numbers, st.just(left + Fraction(1, 10**5))))
    one, other = data.draw(spellings(left)), data.draw(spellings(right))
    fast, slow = same_answer(one, other), symbolic.same(one, other)
    assert fast is not None
    assert slow is fast, (one, other)


# -- real references ------------------------------------------------------------------------------------------------


def references(shared_data: Path) -> list[str]:
    found = [json.loads(line)["answer"] for line in (shared_data / "math500.jsonl").read_text().strip().split("\n")]
    for name in ("aime_2024.jsonl", "aime_1983_2023.jsonl"):
        found += [str(json.loads(line)["answer"]) for line in (shared_data / name).read_text().strip().split("\n")]
    for name in ("gsm8k_test.jsonl", "gsm8k_train.jsonl"):
        lines = (shared_data / name).read_text().strip().split("\n")
        found += [json.loads(line)["answer"].rpartition("####")[2].strip() for line in lines]
    return found


def test_every_real_reference_is_its_own_answer(shared_data: Path, verifier: Verifier) -> None:
    """No exceptions; also when written otherwise, so that more than the equality of texts is tried."""
    for reference in dict.fromkeys(references(shared_data)):
        (own,) = verifier.verify(reference, [f"$ {reference} $"], answer_kind(reference))
        assert own.status is Status.CORRECT, reference


def test_real_references_can_be_checked(shared_data: Path, verifier: Verifier) -> None:
    lines = (shared_data / "math500.jsonl").read_text().strip().split("\n")
    reasons = Counter(verifier.checkable(json.loads(line)["answer"]) for line in lines)
    assert reasons[None] >= 0.97 * sum(reasons.values()), reasons
    assert set(reasons) <= {None, "undecided"}
