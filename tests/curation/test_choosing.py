"""Who gets a place: the target mix by hand, and how little of it moves when rows are added."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.curation.choosing import choose, places, rounded
from kimi_pipeline.curation.recipe import Recipe

BUCKETS = ("easy", "medium", "hard", "unsolved")


def pool(count: int, prefix: str = "p", licence: str = "MIT") -> pa.Table:
    rng = random.Random(prefix)
    rows = [
        (f"{prefix}{k}", rng.choice(["mathematics", "mathematics", "coding"]), rng.choice(BUCKETS), licence, False)
        for k in range(count)
    ]
    names = ["problem_id", "domain", "bucket", "licence", "kept"]
    return pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names)


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"name": "r"} | fields)


def selected(candidates: pa.Table, asked: Recipe) -> set[str]:
    return {row["problem_id"] for row in choose(candidates, asked).to_pylist() if row["reason"] == "selected"}


def test_places_by_hand() -> None:
    present = {("a", ""): 60, ("b", ""): 40}
    assert places(present, {"a": 0.5, "b": 0.5}, {}, 60) == {("a", ""): 30, ("b", ""): 30}
    assert places(present, {"a": 0.5, "b": 0.5}, {}, None) == {("a", ""): 40, ("b", ""): 40}
    assert places(present, {"a": 3, "b": 1}, {}, None) == {("a", ""): 60, ("b", ""): 20}
    assert places({("", ""): 7}, {}, {}, 5) == {("", ""): 5}


def test_what_one_bucket_lacks_the_others_get() -> None:
    present = {("a", "easy"): 10, ("a", "medium"): 100, ("a", "hard"): 100}
    found = places(present, {"a": 1.0}, {"easy": 0.5, "medium": 0.25, "hard": 0.25}, 100)
    assert found == {("a", "easy"): 10, ("a", "medium"): 45, ("a", "hard"): 45}


def test_the_scarcest_domain_bounds_the_set() -> None:
    present = {("a", ""): 100, ("b", ""): 10}
    assert places(present, {"a": 0.5, "b": 0.5}, {}, None) == {("a", ""): 10, ("b", ""): 10}
    assert places(present, {"a": 0.5, "c": 0.5}, {}, None) == {("a", ""): 0}


@given(st.integers(0, 500), st.dictionaries(st.text("abc", min_size=1), st.floats(0.01, 1), min_size=1))
def test_rounding_adds_up(total: int, shares: dict[str, float]) -> None:
    found = rounded(total, shares)
    assert sum(found.values()) == total
    assert all(abs(found[name] - total * share / sum(shares.values())) < 1 + 1e-6 for name, share in shares.items())


def test_a_mix_is_met_and_added_rows_move_few_others() -> None:
    asked = recipe(
        mix={"mathematics": 0.6, "coding": 0.4}, difficulty_mix={"easy": 0.2, "medium": 0.5, "hard": 0.3}, max_size=300
    )
    candidates = pool(2000)
    before = selected(candidates, asked)
    of_cell = Counter((row["domain"], row["bucket"]) for row in candidates.to_pylist() if row["problem_id"] in before)
    assert of_cell == {
        ("mathematics", "easy"): 36,
        ("mathematics", "medium"): 90,
        ("mathematics", "hard"): 54,
        ("coding", "easy"): 24,
        ("coding", "medium"): 60,
        ("coding", "hard"): 36,
    }
    assert selected(candidates.take(list(reversed(range(2000)))), asked) == before
    after = selected(pa.concat_tables([candidates, pool(200, "new")]), asked)
    joined = {one for one in after if one.startswith("new")}
    assert after - before == joined
    assert len(before - after) == len(joined) <= 60  # a tenth more rows: about a tenth of 300 places
    one_more = selected(pa.concat_tables([candidates, pool(1, "one")]), asked)
    assert len(before - one_more) <= 1


def test_another_seed_draws_another_set() -> None:
    one, other = (selected(pool(1000), recipe(max_size=100, seed=seed)) for seed in (0, 1))
    assert len(one) == len(other) == 100
    assert len(one & other) < 40


def test_licences_and_full_sets_have_their_reasons() -> None:
    candidates = pa.concat_tables([pool(50), pool(20, "nc", "CC-BY-NC-4.0")])
    reasons = Counter(choose(candidates, recipe(licences=["MIT"], max_size=30)).column("reason").to_pylist())
    assert reasons == {"selected": 30, "over_max_size": 20, "licence_not_allowed": 20}
    assert set(choose(pool(10), recipe(mix={"science": 1.0})).column("reason").to_pylist()) == {"over_target_mix"}
