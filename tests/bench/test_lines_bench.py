"""The bench of lines: shares by package, and a real run of one test under coverage, with the process that it starts."""

from __future__ import annotations

import pytest

from kimi_pipeline.bench import lines
from kimi_pipeline.bench.lines import METHODS, measure, shares
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home

ONE_TEST = "tests/dagster/test_warm.py::test_a_fork_is_told_what_a_job_is_told"
OWN_MODULES = "tests/test_extending.py"  # writes modules that are gone when lines are counted


def _file(ran: int, statements: int) -> dict[str, dict[str, int]]:
    return {"summary": {"covered_lines": ran, "num_statements": statements, "missing_lines": statements - ran}}


def test_shares_by_package_of_the_methods_alone() -> None:
    found = shares(
        {
            "files": {
                "kimi_pipeline/rl/loop.py": _file(30, 40),
                "kimi_pipeline/rl/buffer.py": _file(10, 10),
                "/site/kimi_pipeline/rewards/numbers.py": _file(5, 10),
                "kimi_pipeline/cli/door.py": _file(0, 100),
                "kimi_pipeline/testcases/builtin/a/accepted/1.py": _file(0, 100),
            }
        }
    )
    assert found["packages"] == dict.fromkeys(METHODS, 0.0) | {"rl": 0.8, "rewards": 0.5}
    assert found["methods"] == 0.75 and found["statements"] == 60
    assert found["untouched"] == {"rl/loop.py": 10, "rewards/numbers.py": 5, "rl/buffer.py": 0}


@pytest.mark.timeout(300)
def test_the_processes_and_forks_that_a_test_starts_are_recorded(home: Home) -> None:
    found = measure(home, [ONE_TEST, OWN_MODULES], workers=1)["figures"]
    assert found["tests_passed"] is True
    assert found["packages"]["training"] > 0  # training/warm.py runs in a process of its own alone
    assert not list(home.root.glob("lines-*"))


def test_outside_of_a_checkout_it_says_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="make install-dev"):
        measure(home)
