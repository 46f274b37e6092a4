"""Asking a model for the programs that are missing: the job's spec, and its answers as attempts.

Belongs here: which model is asked. Does not belong here: the job (`writing_job.py`), the prompts (`forms.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from kimi_pipeline.inference.drawing import given_model
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context
from kimi_pipeline.testcases.writing import Asked, Attempt, Form

JOB = "kimi_pipeline.testcases.writing_job"


def written(context: Context, form: Form, problems: Sequence[Asked]) -> dict[str, list[Attempt]]:
    """Every attempt of the model by problem, the last of each first in force. Raises UserError where no model can be asked."""
    spec = {
        "home": str(context.home.root),
        "profile": context.profile.settings(),
        "run_id": context.run_id,
        "form": form.name,
        "checkpoint": given_model(context.profile, "testcases.writer=model"),
        "problems": list(problems),
    }
    found = context.launcher.run(JOB, spec)
    return {
        problem_id: [Attempt(**row | {"reason": Reason(row["reason"])}) for row in rows]
        for problem_id, rows in found["attempts"].items()
    }
