"""Who is asked in a night: the newest checkpoint that can reason, a named one, or the endpoint's model.

Belongs here: that choice, and under which conditions answers count. Does not belong here: asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kimi_pipeline.checkpoints import JUDGES, Checkpoint, all_checkpoints, made_at
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.drawing import endpoint_checkpoint
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.stages import Context

NEWEST = "newest"
UNABLE = ("base", *JUDGES)  # stages of checkpoints that have not learned to answer problems


@dataclass(frozen=True)
class Target:
    """A checkpoint's digest, its weights (None: an endpoint's), and what the answers that are compared have in common.

    `template` is the wording's name, `template_id` what samples store of it.
    """

    checkpoint: str
    folder: Path | None
    stage: str
    template: str
    template_id: str


def choose_target(context: Context, query: str | None = None) -> Target:
    """The target that `query` (else nights.checkpoint) means. Raises UserError where there is none, or it is ambiguous."""
    template = context.profile.curation.template
    named = TEMPLATES[template].id("reasoning")
    if context.profile.inference.carrier == "endpoint":
        return Target(endpoint_checkpoint(context.profile.inference), None, "endpoint", template, named)
    found = _checkpoint(context, query or context.profile.nights.checkpoint)
    return Target(found.digest, found.folder, found.stage, template, named)


def _checkpoint(context: Context, query: str) -> Checkpoint:
    root = context.home.checkpoints
    able = [one for one in all_checkpoints(root) if one.stage not in UNABLE]
    if not able:
        raise UserError(f"no checkpoint under {root} that could be asked: materialise sft_checkpoint first")
    if query == NEWEST:
        return max(able, key=lambda one: (made_at(root, one), one.digest))
    found = [one for one in able if one.digest.startswith(query)]
    if len(found) != 1:
        listed = ", ".join(f"{one.stage} {one.digest[:12]}" for one in able)
        raise UserError(f"checkpoint {query!r} is {'several' if found else 'none'} of: {listed}")
    return found[0]
