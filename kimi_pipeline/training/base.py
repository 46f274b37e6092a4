"""The job that builds the tiny base model: `python -m kimi_pipeline.training.base SPEC`.

Belongs here: the job around `models.tiny`. Does not belong here: the architecture.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from kimi_pipeline.checkpoints import count_parameters, save_checkpoint
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles import Profile


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Build and save the model of the profile; returns its digest and number of parameters."""
    from transformers.utils import logging as transformers_logging

    from kimi_pipeline.models.tiny import save_tiny

    transformers_logging.disable_progress_bar()
    profile = Profile.model_validate(spec["profile"])
    checkpoint = save_checkpoint(
        Home(Path(spec["home"])).checkpoints,
        "base",
        partial(save_tiny, profile.model, profile.seed),
        recipe={"model": profile.model.model_dump(), "seed": profile.seed},
    )
    parameters = count_parameters(checkpoint.folder)
    report.info(f"{parameters:,} parameters, {checkpoint.folder.name}")
    return {"digest": checkpoint.digest, "parameters": parameters}


if __name__ == "__main__":
    job_main(run)
