"""ReST and GRPO through the learner on a real (tiny) model: what moves, what must not change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rl.learning import Learner

pytestmark = pytest.mark.usefixtures("ranks")

SETTINGS: dict[str, Any] = {"mini_steps": 2, "warm_up": 0, "learning_rate": 1e-3, "samples": 4}


def weights_after(trainer: Any, groups: list[Any], **changes: Any) -> Any:
    Learner(trainer, Rl(**(SETTINGS | changes)), pad_id=2).learn(groups, (), 1)
    return {name: weight.clone() for name, weight in trainer.whole_weights().items()}


def largest_difference(one: Any, other: Any) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("name", ["rest", "grpo"])
def test_micro_batches_change_nothing(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any], name: str
) -> None:
    groups = [make_group(place, 1.0, 0.0, 0.0, 1.0) for place in range(4)]
    small, large = (weights_after(make_trainer(), groups, objective=name, micro_batch_tokens=n) for n in (16, 100_000))
    assert largest_difference(small, large) < 1e-4


def test_the_objectives_move_a_model_to_different_places(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    groups = [make_group(place, 1.0, 0.0, 0.0, 1.0) for place in range(4)]
    found = [weights_after(make_trainer(), groups, objective=name) for name in ("mirror_descent", "rest", "grpo")]
    assert all(largest_difference(found[one], found[other]) > 1e-4 for one in range(3) for other in range(one))


def test_rest_learns_from_groups_that_are_all_right_and_never_from_all_wrong_ones(
    make_trainer: Callable[..., Any], make_group: Callable[..., Any]
) -> None:
    trainer = make_trainer()
    before = {name: weight.clone() for name, weight in trainer.whole_weights().items()}
    assert largest_difference(weights_after(trainer, [make_group(0, 0.0, 0.0)], objective="rest"), before) == 0.0
    assert largest_difference(weights_after(trainer, [make_group(1, 1.0, 1.0)], objective="rest"), before) > 1e-4
