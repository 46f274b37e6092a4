"""Prioritized sampling [2.3.4]: success rates, priorities, and frequencies against them by chi-square."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.rewards.contract import Reference
from kimi_pipeline.rl.prompt_sampling import PrioritizedSampler, Prompt, SuccessRates
from kimi_pipeline.rl.prompt_sampling.prioritized import distinct, priorities, shares

CHI_SQUARE_7 = 24.32  # the 0.999 quantile with 7 degrees of freedom
RATES = (0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 1.0)


def prompts(*rates: float | None, samples: int | None = None, weights: tuple[float, ...] = ()) -> list[Prompt]:
    weights = weights or (1.0,) * len(rates)
    return [
        Prompt("q", Reference(f"p{i}", "1", "integer"), weight, rate, None if rate is None else samples)
        for i, (rate, weight) in enumerate(zip(rates, weights, strict=True))
    ]


def sampler_of(
    pool: list[Prompt], *, floor: float = 0.05, patience: int = 1000, strength: float = 10.0, kept: float = 0.5
) -> tuple[PrioritizedSampler, SuccessRates]:
    rates = SuccessRates(pool, strength, kept)
    return PrioritizedSampler(pool, 11, rates, floor=floor, patience=patience), rates


def frequencies(sampler: PrioritizedSampler, draws: int, count: int, size: int = 8) -> np.ndarray:
    drawn = Counter(prompt.problem_id for _ in range(draws) for prompt in sampler.draw(count))
    return np.array([drawn[f"p{i}"] for i in range(size)])


def chi_square(observed: np.ndarray, weights: np.ndarray) -> float:
    expected = observed.sum() * weights / weights.sum()
    return float(((observed - expected) ** 2 / expected).sum())


# -- success rates ----------------------------------------------------------------------------------------------


def test_the_first_pass_rate_counts_as_so_many_samples() -> None:
    rates = SuccessRates(prompts(0.2, None), 10.0, 1.0)
    assert rates.rates.tolist() == pytest.approx([0.2, 0.5])
    rates.observe("p0", 8, 10)
    rates.observe("p1", 10, 10)
    assert rates.rates.tolist() == pytest.approx([(2 + 8) / 20, (5 + 10) / 20])


def test_a_pass_rate_of_few_samples_counts_as_no_more_than_those() -> None:
    rates = SuccessRates(prompts(1.0, samples=4), 10.0, 1.0)
    assert rates.rates.tolist() == pytest.approx([(4 + 6 * 0.5) / 10])
    assert SuccessRates(prompts(1.0, samples=40), 10.0, 1.0).rates.tolist() == [1.0]


def test_evidence_is_forgotten_with_each_new_observation_the_first_rate_too() -> None:
    rates = SuccessRates(prompts(0.0), 8.0, 0.5)
    rates.observe("p0", 8, 8)
    assert rates.rates[0] == pytest.approx(8 / (4 + 8))
    for _ in range(20):
        rates.observe("p0", 8, 8)
    assert rates.rates[0] > 0.999
    rates.observe("p0", 0, 8)  # unlearned: 16 samples of evidence fade to 8
    assert rates.rates[0] == pytest.approx(0.5, abs=1e-3)
    (seen,) = rates.seen()
    assert (seen.correct, seen.total) == (21 * 8, 22 * 8)  # what the run has seen is counted in full


def test_without_prior_a_problem_of_no_evidence_is_unknown() -> None:
    rates = SuccessRates(prompts(0.9, None), 0.0, 0.0)
    assert rates.rates.tolist() == [0.5, 0.5]
    rates.observe("p0", 1, 4)
    rates.observe("p1", 0, 0)  # no verdict: nothing was learned
    assert rates.rates.tolist() == [0.25, 0.5] and len(rates.seen()) == 1


def test_tries_since_the_last_success_are_counted() -> None:
    rates = SuccessRates(prompts(0.0, 0.1, samples=10), 10.0, 0.5)
    assert rates.failures.tolist() == [10, 0]  # ten answers were wrong before RL began
    rates.observe("p0", 0, 8)
    rates.observe("p1", 0, 8)
    assert rates.failures.tolist() == [18, 8]
    rates.observe("p0", 1, 8)
    assert rates.failures.tolist() == [0, 8]


@pytest.mark.parametrize(("name", "correct", "total"), [("p0", 3, 2), ("p0", -1, 2), ("other", 1, 2)])
def test_counts_that_can_not_be_are_refused(name: str, correct: int, total: int) -> None:
    with pytest.raises(ValueError, match="problem"):
        SuccessRates(prompts(0.5), 1.0, 0.5).observe(name, correct, total)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20), st.floats(0, 1), st.floats(0, 20))
def test_a_rate_stays_a_rate(seen: list[tuple[int, int]], kept: float, strength: float) -> None:
    rates = SuccessRates(prompts(0.3), strength, kept)
    for correct, more in seen:
        rates.observe("p0", correct, correct + more)
        assert 0.0 <= rates.rates[0] <= 1.0


# -- priorities -------------------------------------------------------------------------------------------------


def test_priorities_by_hand() -> None:
    rates, failures = np.array([0.0, 0.0, 0.0, 0.0, 0.4, 1.0]), np.array([0, 16, 32, 6400, 8, 0])
    found = priorities(rates, failures, 0.05, 16)
    assert found.tolist() == pytest.approx([1.0, 1.0, 0.5, 0.05, 0.6, 0.05])


def test_frequencies_are_in_proportion_to_one_minus_the_rate() -> None:
    """One prompt a draw: the counts are multinomial, and the test is exact. The same counts refute uniform sampling."""
    sampler, _ = sampler_of(prompts(*RATES))
    observed = frequencies(sampler, 8000, 1)
    expected = np.maximum(0.05, 1 - np.array(RATES))
    assert chi_square(observed, expected) < CHI_SQUARE_7
    assert chi_square(observed, np.ones(8)) > 10 * CHI_SQUARE_7


def test_frequencies_follow_what_is_observed_and_the_weights_of_the_set() -> None:
    weights = (1.0, 2.0, 1.0, 0.5, 1.0, 3.0, 1.0, 1.0)
    sampler, rates = sampler_of(prompts(*[0.5] * 8, weights=weights), strength=2.0, kept=0.0)
    for i, correct in enumerate((0, 1, 2, 4, 5, 6, 7, 8)):
        rates.observe(f"p{i}", correct, 8)
    observed = frequencies(sampler, 8000, 1)
    priority = np.maximum(0.05, 1 - np.array([0, 1, 2, 4, 5, 6, 7, 8]) / 8)
    assert chi_square(observed, priority * np.array(weights)) < CHI_SQUARE_7
    assert chi_square(observed, priority) > 10 * CHI_SQUARE_7


def test_frequencies_of_whole_batches_are_in_proportion_too() -> None:
    """Three distinct prompts a draw: each has exactly its share of chances, none of which is cut off at 1 here. The
    counts of a draw exclude each other, which makes the statistic smaller than with independent draws."""
    sampler, _ = sampler_of(prompts(*RATES))
    expected = np.maximum(0.05, 1 - np.array(RATES))
    assert (3 * expected / expected.sum()).max() < 1
    observed = frequencies(sampler, 4000, 3)
    assert chi_square(observed, expected) < CHI_SQUARE_7
    assert chi_square(observed, np.ones(8)) > 10 * CHI_SQUARE_7


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.integers(0, 35))
def test_shares_are_chances_in_proportion(weights: list[float], count: int) -> None:
    given = np.array(weights)
    found = shares(given, count)
    assert found.sum() == pytest.approx(min(count, len(weights)))
    assert (found >= 0).all() and (found <= 1).all()
    free = found < 1 - 1e-9
    if free.any() and count:
        ratios = found[free] / given[free]
        assert ratios == pytest.approx(ratios[0], rel=1e-6)
        assert (given[~free] >= given[free].max() * (1 - 1e-6)).all()  # only the largest are cut off


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.integers(0, 35), st.integers(0, 2**32))
def test_a_draw_is_distinct_and_whole(weights: list[float], count: int, seed: int) -> None:
    picked = distinct(shares(np.array(weights), count), np.random.default_rng(seed))
    assert len(picked) == len(set(picked.tolist())) == min(count, len(weights))


def test_a_certain_prompt_is_in_every_draw() -> None:
    sampler, _ = sampler_of(prompts(0.0, *[0.9] * 7))
    assert all("p0" in [prompt.problem_id for prompt in sampler.draw(6)] for _ in range(200))


def test_any_two_prompts_may_come_together() -> None:
    """Systematic sampling in a fixed order would never draw neighbours in one batch."""
    sampler, _ = sampler_of(prompts(*[0.5] * 8))
    pairs = {frozenset(prompt.problem_id for prompt in sampler.draw(2)) for _ in range(500)}
    assert len(pairs) == 8 * 7 / 2


# -- over many iterations ---------------------------------------------------------------------------------------


def taken_by_unsolvable(patience: int) -> tuple[float, int]:
    """A set with 10 unsolvable prompts among 50, the others solved at once; 8 a draw, 8 responses each, 400 draws.

    The share of the last 200 draws that goes to the unsolvable ones, and how many solved ones came in those draws.
    """
    sampler, rates = sampler_of(prompts(*[0.0] * 10, *[0.5] * 40, samples=10), patience=patience)
    unsolvable, solved = 0, set()
    for draw in range(400):
        for prompt in sampler.draw(8):
            hopeless = int(prompt.problem_id[1:]) < 10
            rates.observe(prompt.problem_id, 0 if hopeless else 8, 8)
            if draw >= 200:
                unsolvable += hopeless
                solved |= set() if hopeless else {prompt.problem_id}
    return unsolvable / (200 * 8), len(solved)


def test_unsolvable_prompts_do_not_take_over_and_solved_ones_return() -> None:
    share, solved = taken_by_unsolvable(patience=64)
    undamped, _ = taken_by_unsolvable(patience=10**9)
    assert undamped > 0.75  # what 1 - s_i alone would do
    assert share < 0.35  # they are 0.2 of the set
    assert solved == 40


def test_a_first_success_restores_the_priority() -> None:
    _, rates = sampler_of(prompts(0.0, samples=10))
    for _ in range(100):
        rates.observe("p0", 0, 8)
    before = priorities(rates.rates, rates.failures, 0.01, 64)[0]
    rates.observe("p0", 1, 8)
    after = priorities(rates.rates, rates.failures, 0.01, 64)[0]
    assert before == pytest.approx(64 / 810) and after > 0.9
