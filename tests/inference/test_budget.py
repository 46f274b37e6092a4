"""The token budget: what is paid never exceeds it, in whatever order answers come back."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.inference.budget import TokenBudget


@given(
    st.integers(0, 500), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), max_size=40), st.integers(0, 99)
)
def test_what_is_paid_stays_within_the_limit(limit: int, answers: list[tuple[int, int]], seed: int) -> None:
    budget, rng = TokenBudget(limit), random.Random(seed)
    running: list[tuple[int, int]] = []
    for longest, length in answers:
        room = limit - budget.spent - sum(reserved for reserved, _ in running)
        assert budget.reserve(longest) == (longest <= room)
        if longest <= room:
            running.append((longest, min(longest, length)))
        if running and rng.random() < 0.5:
            budget.pay(*running.pop(rng.randrange(len(running))))
        assert budget.spent <= limit
    for one in running:
        budget.pay(*one)
    assert budget.spent <= limit


def test_no_limit_never_refuses() -> None:
    budget = TokenBudget(None)
    assert all(budget.reserve(10**9) for _ in range(3))
