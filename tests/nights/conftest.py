"""Nights on a real curation run whose model is a script: the run of `tests/curation`, then another checkpoint is asked."""

from __future__ import annotations

from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.nights.target import Target
from tests.curation.conftest import Curation, able, curation, finished


def target_of(run: Curation, checkpoint: str) -> Target:
    """A checkpoint that the script plays."""
    template = run.context.profile.curation.template
    return Target(checkpoint, None, "rl", template, TEMPLATES[template].id("reasoning"))


__all__ = ["Curation", "able", "curation", "finished", "target_of"]
