"""The built-in corpus of each profile: its families have as many problems on each side as the profile asks for."""

from __future__ import annotations

import pytest

from kimi_pipeline.corpora.builtin import evaluation_problems, read_builtin
from kimi_pipeline.profiles import Profile, load_profile, profile_names

DIFFERENT = {repr(profile.corpora): profile for profile in map(load_profile, profile_names())}.values()


@pytest.mark.parametrize("profile", DIFFERENT, ids=lambda profile: profile.name)
def test_a_profile_asks_for_no_more_problems_than_there_are(profile: Profile) -> None:
    asked = profile.corpora
    assert len(evaluation_problems(profile)) == asked.evaluation_problems
    assert sum(1 for _ in read_builtin(profile)) > len(asked.families) * asked.problems_per_family
