"""The mutation bench on a made-up module: what tests notice is killed, what they don't is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimi_pipeline.bench import mutation
from kimi_pipeline.bench.mutation import Target, without_words
from kimi_pipeline.errors import UserError

MODULE = '''"""A module."""

def clamp(value, top):
    """At most top."""
    if value > top:
        return top
    return value
'''
STRICT = "from made_up import clamp\n\ndef test_it():\n    assert clamp(3, 2) == 2\n    assert clamp(1, 2) == 1\n"


def _measured(folder: Path, test: str) -> dict[str, object]:
    tree = folder / "tree"
    (tree / "tests").mkdir(parents=True, exist_ok=True)
    (tree / "made_up.py").write_text(MODULE)
    (tree / "tests" / "test_made_up.py").write_text(test)
    found = mutation._target(Target("made up", "made_up.py", ("tests/test_made_up.py",)), tree, folder, 10)
    assert (tree / "made_up.py").read_text() == MODULE
    return found


def test_what_the_tests_notice_is_killed_and_the_rest_is_told(tmp_path: Path) -> None:
    found = _measured(tmp_path, STRICT)
    # value > top -> value >= top means the same at their meeting point; value <= top does not
    assert (found["mutants"], found["killed"]) == (2, 1)
    assert found["alive"] == ["made_up:2: Gt -> GtE | if value > top:"]


def test_tests_that_fail_by_themselves_measure_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fail on the unchanged made_up\.py"):
        _measured(tmp_path, "def test_it():\n    assert False\n")


def test_docstrings_and_annotations_are_no_place_for_a_change() -> None:
    assert without_words('class A:\n    """Only this."""\n') == "class A:\n    pass\n"
    assert "At most" not in without_words(MODULE)
    assert without_words("def f(a: int | str = 0) -> int | None:\n    b: int | str = a\n    return b\n") == (
        "def f(a=0):\n    b: object = a\n    return b\n"
    )
