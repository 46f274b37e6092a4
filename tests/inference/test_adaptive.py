"""The stopping rule: what can't change stops at once, what is expected to go wrong stays within the risks, and a plan that
was killed stops where an undisturbed one does."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline.inference.adaptive import GRID, StoppingRule, fit_prior
from kimi_pipeline.inference.plans import Ask, AskedProblem, Plan
from kimi_pipeline.inference.request import Sampling
from kimi_pipeline.inference.store import Recorded
from kimi_pipeline.rewards.contract import Reference, Status


def rule(total: int = 10, first: int = 2, decision_risk: float = 0.02, bucket_risk: float = 0.08) -> StoppingRule:
    """Always right is dropped; three buckets."""
    states = [[(n, right) for right in range(n + 1)] for n in range(total + 1)]
    decisions = tuple(tuple("drop" if n and right == n else "keep" for n, right in row) for row in states)
    buckets = tuple(
        tuple(
            "" if not n else "low" if right < 0.3 * n else "high" if right > 0.7 * n else "middle" for n, right in row
        )
        for row in states
    )
    return StoppingRule(total, first, decision_risk, bucket_risk, decisions, buckets)


def asked(count: int) -> list[AskedProblem]:
    return [
        AskedProblem(f"p{n}", f"What is {n}?", Reference(f"p{n}", str(n), "integer"), f"g{n % 2}") for n in range(count)
    ]


def played(plan: Plan, streams: dict[str, list[bool]], stop_after: int | None = None) -> dict[str, Recorded]:
    """Answer a plan's rounds from recorded streams; `stop_after` answers it is killed."""
    stored: dict[str, Recorded] = {}
    while requests := list(plan.next_round()):
        for request in requests:
            if stop_after is not None and len(stored) == stop_after:
                return stored
            status = Status.CORRECT if streams[request.problem_id][request.sample_index] else Status.WRONG
            stored[request.sample_id] = Recorded(request.sample_id, request.problem_id, status, 5)
            plan.record(request, status)
    return stored


def streams_of(count: int, seed: int) -> dict[str, list[bool]]:
    rng = random.Random(seed)
    rates = {n: rng.choice((0.0, 0.02, 0.1, 0.5, 1.0)) if n % 2 else rng.random() for n in range(count)}
    return {f"p{n}": [rng.random() < rate for _ in range(10)] for n, rate in rates.items()}


ASK = Ask("difficulty", "c", "tiny", "reasoning", Sampling(1.0, 16), samples=10, run_seed=0, stopping=rule())


def test_the_prior_finds_the_spread_of_rates() -> None:
    prior = fit_prior(Counter({(10, 0): 500, (10, 10): 500}), [1 / len(GRID)] * len(GRID))
    assert prior.sum() == pytest.approx(1)
    assert prior[:5].sum() == pytest.approx(0.5, abs=0.02)
    assert prior[-5:].sum() == pytest.approx(0.5, abs=0.02)
    assert fit_prior({}, [0.25] * 4).tolist() == [0.25] * 4


def test_what_cannot_change_stops_at_once_and_what_is_open_goes_on() -> None:
    certain = dataclasses.replace(rule(), buckets=tuple(tuple("one" for _ in row) for row in rule().buckets))
    stops = certain.stops({"": {(2, 0): 40, (2, 1): 40, (2, 2): 40}})
    assert {("", (2, 0)), ("", (2, 1))} <= stops  # one wrong answer: never always right
    assert ("", (2, 2)) not in stops
    assert ("", (10, 10)) in stops
    assert ("", (1, 0)) not in stops  # before the first round's end


def test_a_group_learns_from_its_own() -> None:
    """Two of two right: decided in a group of problems that are always right, open in a mixed one."""
    easy = Counter({(10, 10): 400, (2, 2): 100})
    mixed = Counter({(10, right): 50 for right in range(11)} | {(2, 2): 100})
    stops = rule().stops({"easy": easy, "mixed": mixed})
    assert ("easy", (4, 4)) in stops
    assert ("mixed", (4, 4)) not in stops


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_stay_near_the_risks_and_samples_are_spared(seed: int) -> None:
    problems, streams = asked(1000), streams_of(1000, seed)
    stored = played(Plan(ASK, problems, {}), streams)
    kept: dict[str, list[bool]] = {problem.problem_id: [] for problem in problems}
    for one in stored.values():
        kept[one.problem_id].append(one.status is Status.CORRECT)
    other = Counter[str]()
    for name, stream in streams.items():
        n, right = len(kept[name]), sum(kept[name])
        assert stream[:n].count(True) == right  # a beginning of the same stream
        other["decision"] += rule().decisions[n][right] != rule().decisions[10][sum(stream)]
        other["bucket"] += rule().buckets[n][right] != rule().buckets[10][sum(stream)]
    assert other["decision"] <= 30
    assert other["bucket"] <= 100
    assert len(stored) < 8000


@settings(max_examples=5)
@given(st.integers(0, 250), st.integers(0, 3))
def test_a_killed_plan_stops_where_an_undisturbed_one_does(killed_after: int, seed: int) -> None:
    problems, streams = asked(40), streams_of(40, seed)
    whole = played(Plan(ASK, problems, {}), streams)
    begun = played(Plan(ASK, problems, {}), streams, stop_after=killed_after)
    rest = played(Plan(ASK, problems, begun), streams)
    assert not rest.keys() & begun.keys()
    assert begun | rest == whole
    finished = Plan(ASK, problems, whole)
    assert not list(finished.next_round())
    assert (finished.done, finished.missing) == (finished.total, 0)


def test_imported_samples_count_as_the_first_ones() -> None:
    ask = dataclasses.replace(ASK, stopping=None)
    plan = Plan(ask, asked(2), {}, {"p0": [Status.CORRECT] * 4, "p1": [Status.WRONG] * 12})
    assert [(request.problem_id, request.sample_index) for request in plan.next_round()] == [
        ("p0", index) for index in range(4, 10)
    ]
    assert (plan.imported, plan.missing, plan.total) == (14, 6, 20)


def test_tables_of_another_shape_are_a_defect() -> None:
    with pytest.raises(ValueError, match="n \\+ 1 names"):
        dataclasses.replace(rule(), decisions=rule().decisions[:-1])
    assert StoppingRule.parse(rule().as_spec()) == rule()
