"""Asking the SFT model about the run's fit problems: what difficulty and guessability share.

Belongs here: which checkpoint and template are asked, and the key under which the samples are found again. Does not
belong here: what is asked (`difficulty.py`, `guessability.py`), how it is drawn (`inference/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kimi_pipeline.curation.corrections import with_corrections
from kimi_pipeline.curation.scope import fit_problems
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.inference.drawing import Counts, SamplingPass, draw
from kimi_pipeline.inference.templates import TEMPLATES, Format
from kimi_pipeline.rewards.code import CODE as PROGRAM_CODE
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.math_rules import CODE as MATH_CODE
from kimi_pipeline.stages import Context, require_outcome
from kimi_pipeline.training.stages import SFT_CHECKPOINT

UPSTREAM = (
    "corpus",
    "duplicates",
    "people_decisions",
    "evaluability",
    "contamination",
    "rich_reasoning",
    "sft_checkpoint",
    "validated_test_suites",
    "suite_strength",
)
CODE = (
    __name__,
    "kimi_pipeline.inference.templates",
    *MATH_CODE,
    *PROGRAM_CODE,
)
VERDICTS = (Status.CORRECT, Status.WRONG, Status.NO_ANSWER, Status.UNVERIFIABLE)  # an infrastructure error has none


@dataclass(frozen=True)
class Asked:
    """What was asked. `key` holds checkpoint, template, temperature, max_tokens and samples: the query's parameters."""

    problems: pa.Table
    checkpoint: str
    template: str
    key: dict[str, Any]
    drawn: Counts
    adaptive: bool = False

    def figures(self) -> dict[str, Any]:
        return {
            "samples_drawn": self.drawn.drawn,
            "samples_reused": self.drawn.reused,
            **({"samples_imported": self.drawn.imported} if self.drawn.imported else {}),
            "seconds": round(self.drawn.seconds, 1),
        }


def ask(
    context: Context,
    purpose: str,
    format: Format,
    *,
    temperature: float,
    max_tokens: int,
    samples: int,
    stop_at_first_correct: bool = False,
    stopping: StoppingRule | None = None,
    constrained: bool = False,
) -> Asked:
    """Draw what is missing. Raises UserError as `inference.drawing.draw` does."""
    checkpoint = require_outcome(SFT_CHECKPOINT, context).outputs
    problems = grouped(with_corrections(context.lake, fit_problems(context)))
    template = context.profile.curation.template
    drawn = draw(
        context,
        [
            SamplingPass(
                purpose=purpose,
                checkpoint=checkpoint["digest"],
                folder=checkpoint["folder"],
                problems=problems,
                template=template,
                format=format,
                temperature=temperature,
                max_tokens=max_tokens,
                samples=samples,
                stop_at_first_correct=stop_at_first_correct,
                stopping=stopping,
                constrained=constrained,
            )
        ],
    )
    named = TEMPLATES[template].id(format, constrained)
    key = {
        "checkpoint": checkpoint["digest"],
        "template": named,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "samples": samples,
    }
    return Asked(problems, checkpoint["digest"], named, key, drawn, stopping is not None)


def grouped(problems: pa.Table) -> pa.Table:
    """The problems with a column `group`: neighbours (same source, discipline and family) have similar pass rates."""
    parts = [pc.fill_null(problems.column(name), "") for name in ("source", "discipline", "family")]
    return problems.append_column("group", pc.binary_join_element_wise(*parts, "/"))
