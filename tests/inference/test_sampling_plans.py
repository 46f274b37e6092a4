"""Seeds, sample ids and plans: what is asked depends on nothing but the request; nothing is asked twice or forgotten."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_pipeline.digests import request_seed
from kimi_pipeline.inference.plans import ASKED_AT_MOST, Ask, AskedProblem, Plan
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.inference.store import Recorded
from kimi_pipeline.rewards.contract import Reference, Status

ASK = Ask("guess", "ckpt", "tiny", "guess", Sampling(1.0, 16), samples=8, run_seed=0)
CHANGES: dict[str, Any] = {
    "problem_id": "other", "purpose": "difficulty", "checkpoint": "other", "template": "tiny-guess@2", "sample_index": 1,
    "run_seed": 1, "origin": "iteration:1", "segment_index": 1, "sampling": Sampling(0.5, 16),
}  # fmt: skip


def problems(count: int) -> list[AskedProblem]:
    return [AskedProblem(f"p{i}", f"What is {i}?", Reference(f"p{i}", str(i), "integer")) for i in range(count)]


@given(st.integers(0, 2**31 - 1), st.text(max_size=8), st.text(max_size=8), st.integers(0, 99), st.integers(0, 9))
def test_a_seed_is_a_function_of_the_request(
    run_seed: int, origin: str, problem: str, sample: int, segment: int
) -> None:
    key = (run_seed, "rollout", origin, problem, sample, segment)
    assert request_seed(*key) == request_seed(*key)
    assert 0 <= request_seed(*key) < 2**31
    assert request_seed(*key) != request_seed(run_seed, "rollout", origin, problem, sample, segment + 1)


def test_seeds_do_not_collide_by_concatenation() -> None:
    assert request_seed(1, "guess", "a", "bc", 1) != request_seed(1, "guess", "ab", "c", 1)
    seeds = {request_seed(0, "guess", "c", f"p{i}", j) for i in range(1000) for j in range(10)}
    assert len(seeds) >= 9_995  # 31 bits: a pair in ten thousand may meet


def test_the_identity_of_a_sample() -> None:
    base = ASK.request(problems(1)[0], 0)
    for name, value in CHANGES.items():
        assert dataclasses.replace(base, **{name: value}).sample_id != base.sample_id, name
    # What does not change the distribution does not change the identity: the template's id stands for its wording.
    assert dataclasses.replace(base, iteration=4).sample_id == base.sample_id
    assert len({ASK.request(problem, index).sample_id for problem in problems(50) for index in range(8)}) == 400


def test_seeds_know_nothing_of_temperature() -> None:
    base = ASK.request(problems(1)[0], 0)
    assert dataclasses.replace(base, sampling=Sampling(0.1, 99)).seed == base.seed


def answer(
    plan: Plan, outcome: dict[str, Status | None], stored: dict[str, Recorded], asked: list[SampleRequest]
) -> None:
    """Play the job: rounds until the plan is done; `outcome` gives a status a sample id, None for a retryable error."""
    rounds = 0
    while requests := list(plan.next_round()):
        rounds += 1
        assert rounds < 100
        random.Random(rounds).shuffle(requests)
        for request in requests:
            asked.append(request)
            status = outcome[request.sample_id]
            if status is None:
                plan.record(request, Status.INFRASTRUCTURE_ERROR, "http_503: no", retryable=True)
            else:
                stored[request.sample_id] = Recorded(request.sample_id, request.problem_id, status, 3)
                plan.record(request, status)


STATUSES = st.sampled_from(
    [Status.CORRECT, Status.WRONG, Status.NO_ANSWER, Status.UNVERIFIABLE, Status.INFRASTRUCTURE_ERROR, None]
)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 8), st.booleans())
def test_a_run_in_two_parts_asks_what_one_run_asks(data: st.DataObject, count: int, samples: int, stop: bool) -> None:
    ask = dataclasses.replace(ASK, samples=samples, stop_at_first_correct=stop)
    everything = [ask.request(problem, index) for problem in problems(count) for index in range(samples)]
    outcome: dict[str, Status | None] = {request.sample_id: data.draw(STATUSES) for request in everything}

    whole: dict[str, Recorded] = {}
    asked: list[SampleRequest] = []
    plan = Plan(ask, problems(count), {})
    answer(plan, outcome, whole, asked)
    wanted = {request.sample_id for request in everything}
    assert plan.missing == 0
    assert len(asked) == len(whole) + ASKED_AT_MOST * len(plan.errors)
    assert plan.done == plan.total - len(plan.errors)
    for problem in problems(count):
        statuses = [outcome[ask.request(problem, index).sample_id] for index in range(samples)]
        there = [ask.request(problem, index).sample_id in whole for index in range(samples)]
        last = statuses.index(Status.CORRECT) if stop and Status.CORRECT in statuses else samples - 1
        # Everything up to the first right one has a verdict or an error that was retried; nothing after it was asked.
        assert there == [index <= last and status is not None for index, status in enumerate(statuses)]
    assert set(whole) <= wanted

    # A killed run: some of the samples are committed. The rest is asked, and nothing of them again.
    kept = {key: value for key, value in whole.items() if data.draw(st.booleans())}
    stored, again = dict(kept), list[SampleRequest]()
    resumed = Plan(ask, problems(count), kept)
    assert set(resumed.reused) == set(kept)
    answer(resumed, outcome, stored, again)
    assert not {request.sample_id for request in again} & set(kept)
    assert set(stored) >= set(kept)
    if not stop:
        assert stored == whole
    finished = Plan(ask, problems(count), stored)
    assert not [request for request in finished.next_round() if outcome[request.sample_id] is not None]


def test_a_problem_that_was_solved_before_is_not_asked() -> None:
    ask = dataclasses.replace(ASK, stop_at_first_correct=True)
    (problem,) = problems(1)
    solved = ask.request(problem, 2).sample_id
    plan = Plan(ask, [problem], {solved: Recorded(solved, "p0", Status.CORRECT, 1)})
    assert not list(plan.next_round())
    assert (plan.done, plan.total, plan.missing) == (8, 8, 0)


def test_samples_of_another_pass_do_not_count() -> None:
    (problem,) = problems(1)
    other = dataclasses.replace(ASK, sampling=Sampling(0.5, 16)).request(problem, 0).sample_id
    assert Plan(ASK, [problem], {other: Recorded(other, "p0", Status.CORRECT, 1)}).missing == 8


def test_progress_counts_what_a_hit_makes_needless() -> None:
    plan = Plan(dataclasses.replace(ASK, stop_at_first_correct=True), problems(2), {})
    first, second = plan.next_round()
    assert (first.sample_index, second.sample_index) == (0, 0)
    plan.record(first, Status.CORRECT)
    plan.record(second, Status.WRONG)
    assert (plan.done, plan.total) == (9, 16)
    assert [request.sample_index for request in plan.next_round()] == [1]


def test_a_budget_makes_what_it_asks_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    request = Ask.request

    def counted(self: Ask, problem: AskedProblem, index: int) -> SampleRequest:
        made.append(index)
        return request(self, problem, index)

    many = problems(3000)
    kept = ASK.request(many[0], 1).sample_id
    monkeypatch.setattr(Ask, "request", counted)
    plan = Plan(ASK, many, {kept: Recorded(kept, "p0", Status.WRONG, 1)})
    assert len(made) == ASK.samples  # the ids of the one problem that has something committed
    first = list(islice(plan.next_round(), 20))
    assert len(made) == ASK.samples + 20 and len({one.sample_id for one in first} | {kept}) == 21
    assert plan.missing == len(list(plan.next_round())) == 3000 * ASK.samples - 1


def test_an_unknown_template_or_format_is_a_defect() -> None:
    with pytest.raises(KeyError):
        _ = dataclasses.replace(ASK, template="none").template_id
