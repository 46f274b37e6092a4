"""Drawing samples from a stage: passes in, a sampling job, counts out.

Belongs here: `SamplingPass`, `draw`, the job's spec. Does not belong here: the job itself (`sampling_job.py`); a stage
never imports an engine.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.inference.budget import Bounds
from kimi_pipeline.inference.plans import OPTIONAL_COLUMNS, PROBLEM_COLUMNS
from kimi_pipeline.inference.request import PURPOSES
from kimi_pipeline.inference.templates import Format
from kimi_pipeline.profiles import Profile
from kimi_pipeline.profiles.sections import Inference

if TYPE_CHECKING:
    from kimi_pipeline.stages import Context

JOB = "kimi_pipeline.inference.sampling_job"
MOST_EXCLUDED = (
    0.01  # share of samples that may stay without an answer: one request that always fails must not block all
)


@dataclass(frozen=True)
class SamplingPass:
    """Samples of one checkpoint at one temperature. Passes of one `draw` share an engine and a job.

    `problems` is an Arrow table with at least the columns problem_id, prompt, answer, answer_kind. `checkpoint` is the
    digest that samples are stored under, `folder` its weights (None with the endpoint carrier). `samples` is the number
    of answers a problem, or the most of them where a problem stops at its first right answer (`stop_at_first_correct`)
    or by a rule (`stopping`; a column `group` of the problems says which are alike, `wave` how many go through its rounds
    together). A column `samples` of the problems says how many are wanted of one, where that is not null. `seed` is the run
    seed; None: the profile's. `constrained`: the decoder may write nothing but a short answer (`inference/short_answer.py`).
    """

    purpose: str
    checkpoint: str
    folder: Path | str | None
    problems: pa.Table
    template: str
    format: Format
    temperature: float
    max_tokens: int
    samples: int
    stop_at_first_correct: bool = False
    stopping: StoppingRule | None = None
    constrained: bool = False
    seed: int | None = None
    top_p: float = 1.0
    wave: int | None = None

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise ValueError(f"unknown purpose {self.purpose!r}: one of {PURPOSES}")


@dataclass(frozen=True)
class Counts:
    """What a drawing did. `drawn` and `committed_tokens` are of this run alone; `reused` were committed before.

    `errors`: samples without an answer after all retries, by kind of error; nothing is stored of them, the next run asks
    again. `excluded` were stored without a verdict, for good. `imported` were made elsewhere and count as drawn.
    `not_needed`: after the first right guess, or by the stopping rule. `left`: wanted, but not asked for, because of
    `stopped_by` (a name of `budget.py`; empty: nothing stopped the drawing).
    """

    drawn: int = 0
    reused: int = 0
    imported: int = 0
    left: int = 0
    stopped_by: str = ""
    excluded: int = 0
    not_needed: int = 0
    committed_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    engine_seconds: float = 0.0
    errors: dict[str, int] | None = None

    @property
    def failed(self) -> int:
        return sum((self.errors or {}).values())


def endpoint_checkpoint(settings: Inference) -> str:
    """The digest under which an endpoint's samples are stored: of the model's name (a model may move to another host).

    Raises UserError where no model is named.
    """
    if not settings.endpoint_model:
        raise UserError("inference.endpoint_model is empty: set it to the model name that the endpoint serves")
    return model_checkpoint(settings.endpoint_model)


def given_model(profile: Profile, what: str) -> dict[str, str | None]:
    """Digest and folder of the model that the profile gives, as it is before any training: for work that is no part of the
    curriculum (writing generators, labels). Raises UserError, naming `what` needs it, where that is the untrained tiny one."""
    if profile.inference.carrier == "endpoint":
        return {"digest": endpoint_checkpoint(profile.inference), "folder": None}
    if profile.model.kind != "folder" or not profile.model.path:
        raise UserError(
            f"{what} needs a model that can read and write: set model.kind=folder and model.path, or "
            "inference.carrier=endpoint"
        )
    return {"digest": digest(profile.model.path), "folder": profile.model.path}


def model_checkpoint(name: str) -> str:
    """The digest that stands for the weights behind a model's name."""
    return digest({"endpoint_model": name})


def build_spec(context: Context, passes: Sequence[SamplingPass], bounds: Bounds | None = None) -> dict[str, Any]:
    """The job's spec; each pass's problems are written as a parquet file under the home's jobs folder."""
    bounds = bounds or Bounds()
    folder = context.home.jobs / f"problems-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    written: dict[int, Path] = {}
    entries = []
    for number, one in enumerate(passes):
        if id(one.problems) not in written:
            path = folder / f"{number}.parquet"
            columns = [*PROBLEM_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in one.problems.column_names)]
            pq.write_table(one.problems.select(columns), path)
            written[id(one.problems)] = path
        entries.append(
            {
                "purpose": one.purpose,
                "checkpoint": {"digest": one.checkpoint, "folder": str(one.folder) if one.folder else None},
                "template": one.template,
                "format": one.format,
                "temperature": one.temperature,
                "top_p": one.top_p,
                "max_tokens": one.max_tokens,
                "samples": one.samples,
                "stop_at_first_correct": one.stop_at_first_correct,
                "stopping": one.stopping.as_spec() if one.stopping else None,
                "constrained": one.constrained,
                "wave": one.wave,
                "seed": context.profile.seed if one.seed is None else one.seed,
                "problems": str(written[id(one.problems)]),
            }
        )
    return {
        "home": str(context.home.root),
        "profile": context.profile.settings(),
        "run_id": context.run_id,
        "passes": entries,
        "bounds": {
            "tokens": bounds.tokens.limit,
            "until": bounds.until.timestamp() if bounds.until else None,
            "stop_file": str(bounds.stop_file) if bounds.stop_file else None,
        },
    }


def draw(context: Context, passes: Sequence[SamplingPass], bounds: Bounds | None = None) -> Counts:
    """Draw what is missing of the passes and commit it; samples that are committed already are never drawn again.

    `bounds` may end it before it is done; the problems' order says what comes first.

    Raises UserError where the job refuses its input (no such folder, an endpoint that answers 401), and where more
    than `MOST_EXCLUDED` of the samples got no answer after all retries (fewer are excluded and told).
    """
    counts = Counts(**context.launcher.run(JOB, build_spec(context, passes, bounds)))
    reasons = ", ".join(f"{kind} ({number})" for kind, number in (counts.errors or {}).items())
    if counts.failed > MOST_EXCLUDED * (counts.failed + counts.drawn + counts.reused):
        raise UserError(
            f"{counts.failed} samples got no answer: {reasons}. Mend that and run again: all others are kept"
        )
    if counts.failed:
        context.say(f"  {counts.failed} samples got no answer and are excluded: {reasons}")
    return counts


def as_result(counts: Counts) -> dict[str, Any]:
    """The job's result."""
    return asdict(counts)
