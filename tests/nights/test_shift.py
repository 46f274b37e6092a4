"""A night on a real curation run: guesses too, versions promoted or blocked, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kimi_pipeline.clock import now
from kimi_pipeline.curation.promotion import current, promote, roll_back
from kimi_pipeline.errors import UserError
from kimi_pipeline.nights.drift import Move, compare, moved_by_luck, summary
from kimi_pipeline.nights.shift import ask_again, cut_again, nightly_sets, only_night
from kimi_pipeline.profiles.sections import Nights
from tests.nights.conftest import Curation, target_of
from tests.nights.test_reestimation import LATER, better

WHO: dict[str, Any] = {"actor": "person:ada", "reason": "because", "run_id": "r"}


def test_a_night_promotes_within_the_limits_and_blocks_beyond_them(curation: Callable[..., Curation]) -> None:
    curation(**LATER).ready()
    run = curation(**LATER, nights__token_budget=4000, nights__guess_share=0.5, nights__max_mean_shift=0.1)
    home, lake = run.context.home, run.context.lake
    assert nightly_sets(home) == []
    (home.recipes / "smoke.toml").write_text("nightly = true\n")
    assert nightly_sets(home) == ["smoke"]
    run.run()
    assert cut_again(run.context, run.stages)[0]["verdict"] == "unchanged"
    run.script = better
    target = target_of(run, "newer")
    found = ask_again(run.context, target, started=now())
    assert found["stopped_by"] == "budget" and found["tokens"] <= 4000
    assert found["guesses"]["sampled"] > 0  # they have their share of the budget
    (row,) = cut_again(run.context, run.stages)
    assert (row["verdict"], row["version"], row["against"], row["reason_code"]) == ("blocked", 2, 1, "rates_shifted")
    assert "pass rates of" in row["detail"] and "limit 0.1" in row["detail"]
    assert current(lake, "smoke") == 1
    assert cut_again(run.context, run.stages)[0]["verdict"] == "blocked"  # judged once, not anew
    assert len(lake.rows("select * from version_checks")) == 1
    # A person accepts it, goes back, and the nights leave it at that.
    promote(lake, "smoke", 2, **WHO)
    assert roll_back(lake, "smoke", **WHO) == 1
    assert cut_again(run.context, run.stages)[0]["verdict"] == "unchanged"
    assert current(lake, "smoke") == 1
    promote(lake, "smoke", 2, **WHO)
    # The rest of the prompts the next night: a person knows of the new checkpoint and gives it more room.
    wide = curation(**LATER, nights__max_mean_shift=0.9, nights__max_moved_share=1.0, nights__max_size_change=1.0)
    rest = ask_again(wide.context, target, started=now())
    assert (rest["left"], rest["guesses"]["left"], rest["stopped_by"]) == (0, 0, "")
    (row,) = cut_again(wide.context, wide.stages)
    assert (row["verdict"], row["reason_code"]) == ("promoted", "within_limits")
    assert current(lake, "smoke") == row["version"] == 3
    log = lake.rows("select actor, reason from promotions order by created_at desc limit 1")
    assert log == [{"actor": "nights@1", "reason": "nightly cut: within_limits"}]
    told = lake.rows("select stopped_by, stale, sampled from nights order by created_at")
    assert [one["stopped_by"] for one in told] == ["budget", ""]
    with only_night(home), pytest.raises(UserError, match="a night is going on already"):
        ask_again(wide.context, target, started=now())
    with pytest.raises(UserError, match="no version 9"):
        compare(lake, "smoke", 1, 9, Nights())


def test_a_shift_and_its_interval_by_hand() -> None:
    moves = [Move("a", 0.2, 0.4, 10, 4), Move("b", 0.5, 0.6, 10, 6), Move("c", 0.9, 0.9, 10, 9)]
    told = summary(moves)
    # Shifts 0.2, 0.1, 0: mean 0.1, sd 0.1, half 1.96 x 0.1 / sqrt(3).
    assert told["mean_shift"] == 0.1
    assert (told["low"], told["high"]) == (pytest.approx(0.1 - 0.1132, abs=1e-4), pytest.approx(0.1 + 0.1132, abs=1e-4))
    assert told["buckets"] == {"hard -> medium": 1} and told["moved"] == 1
    assert summary([])["mean_shift"] is None


def test_luck_moves_nothing_at_the_ends_and_much_in_between() -> None:
    sure = [Move(str(n), 1.0, 1.0, 10, 10) for n in range(200)]
    assert moved_by_luck(sure) < 0.02
    between = [Move(str(n), 0.3, 0.3, 10, 3) for n in range(200)]
    assert 0.3 < moved_by_luck(between) < 0.6
