"""The same verdicts on both backends. Here a share of the programs; all of them with `python -m sandbox equivalence`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox import Outcome, Sandbox, Verdict
from sandbox.equivalence import KINDS, VARIANTS, compare, differences, programs, share


def test_two_hundred_programs_each_with_a_certain_end() -> None:
    made = programs()
    assert len(made) == 200 == 4 * len(KINDS) * VARIANTS
    assert len({program.name for program in made}) == len({(p.language, p.source) for p in made}) == 200
    assert {program.outcome for program in made} == set(Outcome) - {Outcome.SANDBOX_ERROR}


def test_a_share_has_every_language_and_kind() -> None:
    part = share(10)
    assert len(part) == 20
    assert len({program.name.rsplit("-", 1)[0] for program in part}) == 20
    assert len({program.name.rsplit("-", 1)[1] for program in part}) == VARIANTS


def test_every_difference_is_seen() -> None:
    program = next(p for p in programs() if p.name == "python-accepted-3")
    right = Verdict(0, Outcome.OK, program.stdout or b"", exit_code=0)
    assert differences(program, right) == ""
    for wrong in (replace(right, outcome=Outcome.TIME_LIMIT), replace(right, exit_code=1), replace(right, stdout=b"4")):
        assert differences(program, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("loaded", [False, True])
def test_verdicts_are_the_same_everywhere(room: Sandbox, loaded: bool) -> None:
    found = compare({room.backend.name: room}, share(10), rounds=1, loaded=loaded)
    assert found["wrong"] == []
    assert found["runs"] == 20
