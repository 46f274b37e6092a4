"""The RL stage before its job starts: what it says of the set."""

from __future__ import annotations

from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rl.stage import too_few


def test_a_set_that_is_asked_often_enough_to_be_learned_by_heart_is_named() -> None:
    rl = Rl(iterations=20, prompts=8)
    assert too_few(33, rl) is None  # 160 over 33 is 4.8 times
    said = too_few(21, rl)
    assert said is not None
    assert said.startswith("the set has 21 problems, and each is asked about 8 times")
