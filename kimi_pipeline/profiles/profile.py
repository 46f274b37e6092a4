"""A profile: all settings of a run; its file only says what differs from the defaults.

Belongs here: reading a profile, overriding fields, saying what is wrong with a value. Does not belong here: the fields
(`sections.py`, `training.py`).
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.section import Section
from kimi_pipeline.profiles.sections import (
    Corpora,
    Curation,
    Inference,
    Limits,
    Maintenance,
    Model,
    Nights,
    Notifications,
    Sandbox,
    Testcases,
)
from kimi_pipeline.profiles.training import Evaluation, RewardModels, Rl, Sft

FOLDER = Path(__file__).parent


class Profile(Section):
    """Every setting of a run. `name` and `overrides` say where the values come from; `digest` names them."""

    name: str
    description: str
    seed: int = Field(0, ge=0, lt=2**31, description="What a run draws: another seed is another run on the same data")
    corpora: Corpora = Corpora()
    model: Model = Model()
    inference: Inference = Inference()
    curation: Curation = Curation()
    nights: Nights = Nights()
    maintenance: Maintenance = Maintenance()
    notifications: Notifications = Notifications()
    sft: Sft = Sft()
    reward_models: RewardModels = RewardModels()
    rl: Rl = Rl()
    evaluation: Evaluation = Evaluation()
    sandbox: Sandbox = Sandbox()
    testcases: Testcases = Testcases()
    limits: Limits = Limits()

    def settings(self) -> dict[str, Any]:
        """What was in force, for a manifest."""
        return self.model_dump()

    @property
    def digest(self) -> str:
        return digest(self.settings())

    def with_changes(self, changes: dict[str, Any]) -> Profile:
        """The profile with fields changed (`{"rl.iterations": 40}`). Raises UserError as `load_profile` does."""
        return _validated(_overridden(self.settings(), changes), self.name)


def profile_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name: str | None = None, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile `name` (else `$KIMI_PROFILE`, else laptop) with `overrides` (else `$KIMI_SET`, a JSON object).

    Raises UserError for an unknown profile or field and for a value out of range; the message names the field.
    """
    name = name or os.environ.get("KIMI_PROFILE") or "laptop"
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        raise UserError(f"unknown profile {name!r}: choose one of {', '.join(profile_names())}")
    if overrides is None:
        overrides = environment_changes()
    values = tomllib.loads(path.read_text()) | {"name": name}
    return _validated(_overridden(values, overrides), name)


def environment_changes() -> dict[str, Any]:
    """The fields that `$KIMI_SET` changes. Raises UserError as `parse_changes` does."""
    return parse_changes(os.environ.get("KIMI_SET") or "{}")


def parse_changes(text: str) -> dict[str, Any]:
    """`{"rl.iterations": 40}` as fields and values. Raises UserError for what is no JSON object."""
    try:
        changes = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f'KIMI_SET is not JSON ({error}): write it as {{"section.field": value}}') from None
    if not isinstance(changes, dict):
        raise UserError('KIMI_SET is no JSON object: write it as {"section.field": value}')
    return changes


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """`rl.iterations=40` and the like as fields and values: TOML where it parses, None where it is empty, else text."""
    return dict(_parse_override(text) for text in texts)


def as_overrides(changes: Mapping[str, Any]) -> str:
    """The options of a command that makes these changes, each with a space before it; `parse_overrides` backwards."""
    return "".join(f" --set {field}={json.dumps(value)}" for field, value in changes.items())


def _parse_override(text: str) -> tuple[str, Any]:
    field, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text!r}: write it as section.field=value")
    if not value.strip():
        return field.strip(), None
    try:
        return field.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return field.strip(), value.strip()


def _overridden(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    values = json.loads(json.dumps(values))
    for field, value in changes.items():
        *sections, leaf = field.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UserError(f"unknown setting {field!r}: {section!r} has no fields")
        place[leaf] = value
    return values


def _validated(values: dict[str, Any], name: str) -> Profile:
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = [line.split(" ")[0] for line in describe_settings()]
            near = difflib.get_close_matches(field, known, n=1)
            raise UserError(
                f"profile {name}: unknown setting {field!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            ) from None
        raise UserError(f"profile {name}: {field}: {first['msg']}, not {first['input']!r}") from None


def describe_settings() -> list[str]:
    """One line a field: `rl.tau (0.3): Weight of the KL ...`."""
    lines = []
    for name, field in Profile.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            for leaf, inner in section.model_fields.items():
                lines.append(f"{name}.{leaf} ({inner.get_default()!r}): {inner.description}")
        elif field.description:
            lines.append(f"{name} ({field.get_default()!r}): {field.description}")
    return lines
