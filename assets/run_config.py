"""Run config: the everyday settings that the Launchpad offers, asset by asset, with the profile's values as defaults.

Belongs here: which settings those are, and reading what a run was given. Does not belong here: the settings' meaning
and range (`kimi_pipeline/profiles/profile.py`, which checks them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from kimi_pipeline.profiles import Profile

EVERYDAY: dict[str, tuple[str, ...]] = {
    "corpus": ("corpora.sources", "corpora.limit", "corpora.problems_per_family", "corpora.max_text_bytes"),
    "evaluation_problems": ("corpora.evaluation_problems", "corpora.evaluation_sets"),
    "base_checkpoint": ("model.kind", "model.path", "model.layers", "model.width"),
    "sft_corpus": ("sft.clean_examples", "sft.noisy_examples", "sft.guess_share"),
    "sft_checkpoint": ("sft.learning_rate", "sft.epochs", "sft.max_held_out_loss"),
    "difficulty": ("curation.samples", "curation.temperature", "curation.max_tokens"),
    "guessability": ("curation.guesses", "curation.guess_temperature", "curation.guess_max_tokens"),
    "rl_prompt_set": (
        "curation.min_pass_rate",
        "curation.max_pass_rate",
        "curation.keep_unsolved",
        "curation.max_size",
    ),
    "reward_model_corpus": (
        "reward_models.examples",
        "reward_models.held_out_examples",
        "reward_models.sampled_share",
    ),
    "classic_reward_model": ("reward_models.classic_learning_rate",),
    "cot_reward_model": ("reward_models.learning_rate", "reward_models.epochs"),
    "reward_model_evaluation": ("reward_models.votes", "reward_models.temperature"),
    "rl_checkpoint": (
        "rl.reward",
        "rl.iterations",
        "rl.prompts",
        "rl.samples",
        "rl.temperature",
        "rl.max_tokens",
        "rl.tau",
        "rl.learning_rate",
        "rl.mini_steps",
        "rl.reset_optimizer",
    ),
    "evaluation": ("evaluation.samples", "evaluation.max_tokens"),
}
"""The everyday settings of each stage. Every other one is changed by `--set` or `KIMI_SET`."""


def config_class(stage: str, profile: Profile) -> type[dg.Config] | None:
    """The typed run config of a stage (None: it offers none). Types and words are the profile's own.

    Ranges are left out on purpose: the profile checks them and its error names the field and the range.
    """
    if stage not in EVERYDAY:
        return None
    fields: dict[str, Any] = {}
    for setting in EVERYDAY[stage]:
        section, name = setting.split(".")
        values = getattr(profile, section)
        declared = type(values).model_fields[name]
        fields[name] = (
            declared.annotation,
            Field(getattr(values, name), description=f"{declared.description} ({setting})"),
        )
    return create_model(f"{''.join(part.title() for part in stage.split('_'))}Config", __base__=dg.Config, **fields)


def given_changes(run_config: Mapping[str, Any], defaults: Profile) -> dict[str, Any]:
    """The settings that a run was given, for any of its stages, where they differ from the defaults that it was shown.

    They hold for the whole run: the difficulty of 20 samples and a prompt set whose manifest says 10 would not fit.
    Values equal to the defaults are no wish: the Launchpad fills them in, also where another profile is chosen there.
    """
    changes: dict[str, Any] = {}
    for stage, settings in EVERYDAY.items():
        given = (run_config.get("ops") or {}).get(stage, {}).get("config", {})
        for setting in settings:
            section, name = setting.split(".")
            if name in given and given[name] != getattr(getattr(defaults, section), name):
                changes[setting] = given[name]
    return changes
