from __future__ import annotations

import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import load_profile, profile_names
from kimi_pipeline.profiles.profile import describe_settings, parse_overrides


def test_every_profile_loads() -> None:
    assert profile_names() == ["cluster", "code", "gpu", "laptop", "real", "smoke", "smol"]
    assert len({load_profile(name).digest for name in profile_names()}) == 7


def test_overrides_change_one_field() -> None:
    profile = load_profile("laptop", parse_overrides(["rl.iterations=7", "model.path=/a b"]))
    assert (profile.rl.iterations, profile.model.path) == (7, "/a b")


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("nope", {}, ["unknown profile", "laptop"]),
        ("laptop", {"rl.taau": 1}, ["rl.taau", "rl.tau"]),
        ("laptop", {"rl.tau": -1}, ["rl.tau", "greater than 0"]),
        ("laptop", {"curation.samples": "ten"}, ["curation.samples", "integer"]),
        ("laptop", {"name.x": 1}, ["name.x"]),
    ],
)
def test_wrong_settings_name_field_and_range(name: str, changes: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load_profile(name, changes)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_every_field_is_explained() -> None:
    assert all(not line.endswith("None") and "): " in line for line in describe_settings())


@pytest.mark.parametrize("field", ["nights.until", "nights.older_than_days", "rl.segment_tokens"])
def test_an_empty_value_switches_off(field: str) -> None:
    section, leaf = field.split(".")
    profile = load_profile("gpu", parse_overrides([f"{field}= "]))
    assert getattr(getattr(profile, section), leaf) is None


@pytest.mark.parametrize("text", ["rl.iterations=40", "[1]"])
def test_a_wrong_environment_is_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("KIMI_SET", text)
    with pytest.raises(UserError, match=r"KIMI_SET is no.*: write it as"):
        load_profile("laptop")
