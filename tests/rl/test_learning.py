"""The steps of an iteration on a real (tiny) model: its update against equation 3, and what must not change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rl.learning import Learner, learning_rate, rank_of, step_of
from kimi_pipeline.training.packing import collate

pytestmark = pytest.mark.usefixtures("ranks")

SETTINGS: dict[str, Any] = {"mini_steps": 1, "warm_up": 0, "learning_rate": 1e-3, "samples": 4}


def learn(
    trainer: Any, groups: list[Any], growing: Any = (), iteration: int = 1, **changes: Any
) -> tuple[list[Any], dict[str, float]]:
    """The groups with references, and figures."""
    learned = Learner(trainer, Rl(**(SETTINGS | changes)), pad_id=2).learn(groups, growing, iteration)
    return [group.with_references(learned.references) for group in groups], learned.figures


def weights_of(trainer: Any) -> Any:
    return {name: weight.clone() for name, weight in trainer.whole_weights().items()}


def largest_difference(one: Any, other: Any) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def sum_of_log_probs(trainer: Any, segment: Any) -> Any:
    batch = collate([segment.context_ids], [segment.response_ids], 2)
    return trainer.policy(batch.input_ids, batch.positions, batch.targets).log_probs.sum()


def test_places_are_spread_over_steps_and_ranks() -> None:
    places = range(32)
    for ranks in (1, 2, 4):
        spread = [(step_of(place, 4), rank_of(place, 4, ranks)) for place in places]
        assert all(spread.count((step, rank)) == 32 // 4 // ranks for step in range(4) for rank in range(ranks))


def test_the_learning_rate_rises_and_stays() -> None:
    settings = Rl(learning_rate=6.0e-4, warm_up=5)
    assert [learning_rate(i, settings) for i in (1, 3, 6, 50)] == pytest.approx([1e-4, 3e-4, 6e-4, 6e-4])


def test_the_gradient_of_a_step_is_equation_3_response_by_response(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    """Adam's first moment after the first step is (1 - beta1) times minus equation 3, here without any batching."""
    import torch

    groups = [make_group(0, 1.0, 0.0, 0.0, None), make_group(1, 1.0, 1.0, 0.0, 1.0)]
    trainer, plain = (make_trainer(zero_stage=0, max_grad_norm=1e9) for _ in range(2))
    total: Any = 0.0
    for group, mean in zip(groups, (1 / 3, 3 / 4), strict=True):
        for member in group.judged:
            total = total + (member.reward - mean) * sum_of_log_probs(plain, member.segments[-1]) / len(group.judged)
    (-total / len(groups)).backward()
    learn(trainer, groups)
    states = trainer.engine.basic_optimizer.state
    for (name, mine), (_, theirs) in zip(
        trainer.policy.named_parameters(), plain.policy.named_parameters(), strict=True
    ):
        moment = states[mine]["exp_avg"] / (1 - trainer.settings.betas[0])
        torch.testing.assert_close(
            moment, theirs.grad, atol=1e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("stage", [0, 2])
def test_micro_batches_change_nothing(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any], stage: int
) -> None:
    groups = [make_group(place, 1.0, 0.0, 0.0, 1.0) for place in range(6)]
    found = []
    for tokens in (16, 64, 100_000):
        trainer = make_trainer(zero_stage=stage)
        _, figures = learn(trainer, groups, micro_batch_tokens=tokens, mini_steps=3)
        found.append((weights_of(trainer), figures))
    for weights, figures in found[1:]:
        assert largest_difference(weights, found[0][0]) < 1e-4
        assert figures["loss"] == pytest.approx(found[0][1]["loss"], abs=1e-4)
        assert figures["kl"] == pytest.approx(found[0][1]["kl"], rel=1e-2, abs=1e-5)


def test_later_steps_measure_against_the_weights_that_sampled(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    groups = [make_group(place, 1.0, 0.0, 0.0, 1.0) for place in range(4)]
    trainer, before = make_trainer(), make_trainer()
    referenced, figures = learn(trainer, groups, mini_steps=4)
    for group in referenced:
        for member in group.trajectories:
            expected = float(sum_of_log_probs(before, member.segments[-1]))
            assert float(member.segments[-1].reference_log_probs.sum()) == pytest.approx(expected, abs=1e-3)
    assert figures["log_ratio_max"] > 0.0
    assert learn(make_trainer(), groups, mini_steps=1)[1]["log_ratio_max"] == 0.0  # one step: no regulariser at all


def test_without_any_signal_nothing_moves(make_trainer: Callable[..., Any], make_group: Callable[..., Any]) -> None:
    """Rounding differences between forward passes are no gradient: a fresh Adam would make full steps of them."""
    trainer = make_trainer()
    before = weights_of(trainer)
    groups, figures = learn(trainer, [make_group(0, 1.0, 1.0), make_group(1, 0.0, 0.0, 0.0)], mini_steps=2)
    assert largest_difference(weights_of(trainer), before) == 0.0
    assert figures["without_signal"] == 1.0 and figures["kl"] == 0.0
    assert all(member.segments[-1].reference_log_probs is not None for group in groups for member in group.trajectories)


def test_groups_without_two_verdicts_are_left_out(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    whole, fewer = make_trainer(), make_trainer()
    good = [make_group(0, 1.0, 0.0, None), make_group(2, 0.0, 1.0)]
    learn(whole, [*good, make_group(1, 1.0, None), make_group(3, None, None)])
    learn(fewer, good)
    assert largest_difference(weights_of(whole), weights_of(fewer)) == 0.0
    assert learn(make_trainer(), [make_group(1, 1.0, None)])[1]["kl"] == 0.0


def test_the_optimizer_is_reset_at_each_iteration_where_asked(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    steps = {}
    for reset in (True, False):
        trainer = make_trainer(zero_stage=1)
        learner = Learner(trainer, Rl(**(SETTINGS | {"reset_optimizer": reset, "mini_steps": 2})), pad_id=2)
        for iteration in (1, 2, 3):
            learner.learn([make_group(place, 1.0, 0.0, iteration=iteration) for place in range(2)], [], iteration)
        state = next(iter(trainer.engine.basic_optimizer.state.values()))
        steps[reset] = float(state["step"])
    assert steps == {True: 2.0, False: 6.0}


def referenced_by(trainer: Any, group: Any) -> Any:
    """The group with references of the trainer's present weights on all segments but each response's last."""
    from kimi_pipeline.rl.trajectories import SegmentKey

    found = {}
    for member in group.trajectories:
        for segment in member.segments[:-1]:
            batch = collate([segment.context_ids], [segment.response_ids], 2)
            log_probs = trainer.policy(batch.input_ids, batch.positions, batch.targets).log_probs
            found[SegmentKey(group.key, member.sample_index, segment.segment_index)] = log_probs.detach().numpy()
    return group.with_references(found)


@pytest.mark.parametrize(("loss_on", "max_staleness"), [("current", 8), ("all", 8), ("all", 1)])
def test_the_loss_looks_at_the_segments_it_is_told_to(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any], loss_on: str, max_staleness: int
) -> None:
    """Responses of several segments, all under the present weights: the gradient is equation 3 on the chosen ones."""
    import torch

    trainer, plain = (make_trainer(zero_stage=0, max_grad_norm=1e9) for _ in range(2))
    group = referenced_by(plain, make_group(0, 1.0, 0.0, 0.0, length=30, cuts=4, iteration=9))
    assert max(len(member.segments) for member in group.trajectories) > 3
    total: Any = 0.0
    for member in group.judged:
        chosen = member.segments[-1:] if loss_on == "current" else member.segments
        for segment in chosen:
            if segment.iteration >= 9 - max_staleness:
                total = total + (member.reward - 1 / 3) * sum_of_log_probs(plain, segment) / 3
    (-total).backward()
    learn(trainer, [group], iteration=9, loss_on=loss_on, max_staleness=max_staleness)
    states = trainer.engine.basic_optimizer.state
    for (name, mine), (_, theirs) in zip(
        trainer.policy.named_parameters(), plain.policy.named_parameters(), strict=True
    ):
        moment = states[mine]["exp_avg"] / (1 - trainer.settings.betas[0])
        torch.testing.assert_close(
            moment, theirs.grad, atol=1e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_groups_that_go_on_get_references_and_no_step(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    trainer, before = make_trainer(), make_trainer()
    growing = make_group(0, 1.0, 0.0)
    complete = make_group(1, 1.0, 0.0)
    learned = Learner(trainer, Rl(**SETTINGS), pad_id=2).learn([complete], [growing], iteration=1)
    alone = make_trainer()
    learn(alone, [complete])
    assert largest_difference(weights_of(trainer), weights_of(alone)) == 0.0
    for member in growing.with_references(learned.references).trajectories:
        segment = member.segments[-1]
        expected = float(sum_of_log_probs(before, segment))
        assert float(segment.reference_log_probs.sum()) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("loss_on", "scored"), [("current", {0}), ("all", {0, 1})])
def test_a_response_that_is_to_be_continued_is_scored_only_where_the_loss_will_look_at_it(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any], loss_on: str, scored: set[int]
) -> None:
    from dataclasses import replace

    from kimi_pipeline.rl.segments import SegmentStatus

    group = make_group(0, 1.0, 0.0)
    ended, goes_on = (replace(member, verdict=None) for member in group.trajectories)
    cut = replace(goes_on.segments[0], status=SegmentStatus.CUT_BY_BUDGET)
    growing = replace(group, trajectories=(ended, replace(goes_on, segments=(cut,))))
    learned = Learner(make_trainer(), Rl(**(SETTINGS | {"loss_on": loss_on})), pad_id=2).learn([], [growing], 1)
    assert {key.sample_index for key in learned.references} == scored


def test_a_response_whose_segments_are_all_stale_counts_in_the_baseline_alone(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    trainer = make_trainer()
    before = weights_of(trainer)
    old = make_group(0, 1.0, 0.0, iteration=1)
    from kimi_pipeline.rl.trajectories import SegmentKey

    zeros = {SegmentKey(old.key, i, 0): -np.ones(m.tokens, np.float32) for i, m in enumerate(old.trajectories)}
    learned = Learner(trainer, Rl(**(SETTINGS | {"max_staleness": 2})), pad_id=2).learn(
        [old.with_references(zeros)], [], iteration=4
    )
    assert learned.stale == {(old.key, 0), (old.key, 1)} and learned.advantages[old.key, 0] == 0.5
    assert largest_difference(weights_of(trainer), before) == 0.0


def test_the_gap_is_between_sampler_and_trainer(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    groups, figures = learn(make_trainer(), [make_group(0, 1.0, 0.0)])
    segments = [member.segments[-1] for member in groups[0].trajectories]
    gaps = np.concatenate([np.abs(one.behaviour_log_probs - one.reference_log_probs) for one in segments])
    assert figures["gap_max"] == pytest.approx(float(gaps.max()), rel=1e-5)
    assert figures["gap_mean"] == pytest.approx(float(gaps.mean()), rel=1e-5)


def test_a_loss_that_is_no_number_is_named(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer()
    before = weights_of(trainer)
    monkeypatch.setattr(
        "kimi_pipeline.rl.mirror_descent.surrogate_loss", lambda ratios, *_: ratios.sum() * float("nan")
    )
    with pytest.raises(UserError, match=r"iteration 1, mini-step 1 of 1: lower rl.learning_rate"):
        learn(trainer, [make_group(0, 1.0, 0.0)])
    assert largest_difference(weights_of(trainer), before) == 0.0
