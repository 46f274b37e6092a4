"""Who is asked in a night: the newest checkpoint that answers problems, whatever was registered after it or copied."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from kimi_pipeline.checkpoints import MANIFEST, Checkpoint, save_checkpoint
from kimi_pipeline.errors import UserError
from kimi_pipeline.nights.target import choose_target
from kimi_pipeline.stages import Context


@pytest.fixture
def empty(make_context: Callable[..., Context]) -> Context:
    """A run whose home has no checkpoint yet."""
    return make_context()


def registered(context: Context, stage: str) -> Checkpoint:
    time.sleep(0.01)
    return save_checkpoint(context.home.checkpoints, stage, lambda folder: (folder / "config.json").write_text(stage))


def test_the_newest_checkpoint_that_answers_is_asked(empty: Context) -> None:
    registered(empty, "base")
    with pytest.raises(UserError, match="materialise sft_checkpoint first"):
        choose_target(empty)
    sft = registered(empty, "sft")
    for judge in ("classic_rm", "cot_rm"):
        registered(empty, judge)
    assert choose_target(empty).checkpoint == sft.digest
    rl = registered(empty, "rl")
    assert choose_target(empty).checkpoint == rl.digest
    assert choose_target(empty, sft.digest[:6]).checkpoint == sft.digest


def test_a_reward_model_cannot_be_named(empty: Context) -> None:
    registered(empty, "sft")
    judge = registered(empty, "cot_rm")
    with pytest.raises(UserError, match="is none of: sft"):
        choose_target(empty, judge.digest)


def test_copying_a_home_does_not_change_which_is_newest(empty: Context) -> None:
    sft, rl = registered(empty, "sft"), registered(empty, "rl")
    later = time.time() + 100
    os.utime(sft.folder / MANIFEST, (later, later))  # as a plain copy leaves it
    assert choose_target(empty).checkpoint == rl.digest
