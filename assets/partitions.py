"""Partitions: the named prompt sets, and nothing else. Never a partition a prompt: the event log keeps them for ever.

Belongs here: partitions definitions. Does not belong here: what a set is made of (`curation/recipe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from kimi_pipeline.home import Home


def prompt_sets(home: Home) -> list[str]:
    """The sets with a recipe, shipped or the user's own. A new one appears when the code location is reloaded."""
    from kimi_pipeline.curation.recipe import recipe_names

    return recipe_names(home)


def by_prompt_set(names: Sequence[str]) -> dg.PartitionsDefinition[str]:
    return dg.StaticPartitionsDefinition(list(names))
