"""Recipes: a file a named prompt set, saying what goes in.

Belongs here: the recipe's fields, finding and reading recipe files. Does not belong here: applying one (`selection.py`).
Shipped recipes lie in `recipes/`; `$KIMI_HOME/recipes/NAME.toml` adds sets or replaces a shipped one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.profiles import Profile

SHIPPED = Path(__file__).parent / "recipes"
Share = Annotated[float, Field(ge=0, le=1)]
Bucket = Literal["unsolved", "hard", "medium", "easy"]


class Recipe(BaseModel):
    """What a set takes from the judged problems. A threshold that is left out is the profile's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    description: str = ""
    sources: list[str] = Field([], description="Source names; empty: all sources of the profile")
    filters: list[Literal["difficulty", "guessability"]] = Field(
        ["difficulty", "guessability"], description="Model-based filters to apply; the rule-based ones always hold"
    )
    min_pass_rate: Share | None = Field(None, description="At or below it a problem is hopeless")
    max_pass_rate: Share | None = Field(None, description="At or above it a problem is trivial")
    keep_unsolved: bool | None = Field(None, description="Keep problems that no sample solved")
    max_size: int | None = Field(None, ge=1, description="Largest size; empty: the profile's")
    licences: list[str] = Field([], description="Licences that its problems may have; empty: any")
    mix: dict[str, Share] = Field({}, description="Target share a domain; empty: as they come")
    difficulty_mix: dict[Bucket, Share] = Field(
        {}, description="Target share a difficulty bucket, within each domain; empty: as they come"
    )
    weights: Literal["uniform", "by_failure"] = Field(
        "uniform", description="How often RL draws a problem: all alike, or in proportion to 1 - pass rate [2.3.4]"
    )
    nightly: bool = Field(False, description="A night cuts a new version of it, compares and promotes or blocks")
    seed: int = Field(0, description="Seed of the choice where there are more problems than places")

    def in_force(self, profile: Profile) -> Recipe:
        """The recipe with the profile's values where it gives none of its own."""
        curation = profile.curation
        filled = {
            name: getattr(curation, name)
            for name in ("min_pass_rate", "max_pass_rate", "keep_unsolved", "max_size")
            if getattr(self, name) is None
        }
        return self.model_copy(update=filled)


def _paths(home: Home) -> dict[str, Path]:
    return {path.stem: path for folder in (SHIPPED, home.recipes) for path in sorted(folder.glob("*.toml"))}


def recipe_names(home: Home) -> list[str]:
    return sorted(_paths(home))


def load_recipe(home: Home, name: str) -> Recipe:
    """The recipe of a set. Raises UserError for an unknown name or field, naming the file."""
    path = _paths(home).get(name)
    if path is None:
        raise UserError(
            f"no recipe for prompt set {name!r}: write {home.recipes / (name + '.toml')} or use {recipe_names(home)}"
        )
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text()) | {"name": name})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"recipe {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"recipe {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
