"""Model labels: what a language model says of problems when it is held to a form (constrained JSON), on either carrier.

Belongs here: the questions, who is asked, votes. Does not belong here: the job that asks
(`labelling_job.py`), what becomes of a label (`tagging/by_model.py`, `rich_reasoning.py`).

Each problem is asked `curation.label_votes` times at a temperature; how many answers agree is the confidence. A model's own
word for its confidence would come cheaper, but says little, and log-probs are not to be had of every endpoint.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kimi_pipeline.curation.taxonomy import taxonomy
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.drawing import MOST_EXCLUDED, given_model
from kimi_pipeline.inference.json_form import JsonForm
from kimi_pipeline.stages import Context

JOB = "kimi_pipeline.curation.labelling_job"
TEMPERATURE = 0.7
MAX_TOKENS = 48
LONGEST_PROMPT = 6_000  # characters of a problem that the model reads: what it is about shows long before
MOST_STEPS = 30


@dataclass(frozen=True)
class Form:
    """A question about a problem, answered in `json`. `instruction` holds `{values}` where the values are to be listed."""

    version: int
    instruction: str
    json: JsonForm

    @property
    def id(self) -> str:
        """What stored answers carry: key, version, and the digest of all that the model reads and may write."""
        return f"{self.json.key}@{self.version}:{digest([self.instruction, list(self.json.values)])[:8]}"

    def message(self, prompt: str) -> str:
        """The user's turn about one problem."""
        listed = "\n".join(f"- {value}" for value in self.json.values)
        return self.instruction.replace("{values}", listed) + "\n\nThe problem:\n" + prompt[:LONGEST_PROMPT]


def tag_form() -> Form:
    """Which tag of the taxonomy a problem has."""
    return Form(
        1,
        'What is the problem below about? Answer with a JSON object {"tag": ...} that names exactly one of:\n{values}',
        JsonForm("tag", tuple(map(str, taxonomy().tags))),
    )


STEPS = Form(
    1,
    "How many separate steps of reasoning does a complete solution of the problem below need? Count every computation, "
    f'deduction or case once. Answer with a JSON object {{"steps": N}}, N between 1 and {MOST_STEPS}.',
    JsonForm("steps", tuple(range(1, MOST_STEPS + 1))),
)

READ = """
    select problem_id, sample_index, any_value(text) as text from model_labels semi join asked using (problem_id)
    where form = ? and checkpoint = ? and sample_index < ? group by all order by problem_id, sample_index
"""


def ask_model(context: Context, form: Form, problems: pa.Table) -> dict[str, list[str | int | None]]:
    """Each problem's answers, in order; None for one that is not in form. Only answers that are not stored yet are asked for.

    `problems` has problem_id and prompt. Raises UserError where no model is named, or more than 1 % of the answers stay out
    after all retries (run again: all others are kept).
    """
    model = given_model(context.profile, f"labelling by a model ({form.json.key})")
    votes = context.profile.curation.label_votes
    folder = context.home.jobs / f"labels-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    pq.write_table(problems.select(["problem_id", "prompt"]), folder / "problems.parquet")
    told = context.launcher.run(
        JOB,
        {
            "home": str(context.home.root),
            "profile": context.profile.settings(),
            "run_id": context.run_id,
            "checkpoint": model,
            "form": asdict(form),
            "votes": votes,
            "problems": str(folder / "problems.parquet"),
        },
    )
    if told["failed"] > MOST_EXCLUDED * votes * problems.num_rows:
        raise UserError(f"{told['failed']} labels got no answer: {told['last_error']}. Run again: all others are kept")
    found: dict[str, list[str | int | None]] = {}
    asked = problems.select(["problem_id"])
    for row in context.lake.rows(READ, [form.id, model["digest"], votes], asked=asked):
        found.setdefault(row["problem_id"], []).append(form.json.read(row["text"]))
    return found


def vote(given: Sequence[str | int | None], votes: int) -> tuple[str | int, float] | None:
    """The most frequent value and its share of `votes`; None where no answer is in form. Of equals the first one wins, and
    its share says that nothing is sure."""
    counted = Counter(value for value in given if value is not None)
    if not counted:
        return None
    value, count = counted.most_common(1)[0]
    return value, count / votes


def model_settings(context: Context, form: Form) -> dict[str, Any]:
    """What labels depend on, for the settings of a stage that uses them."""
    model = given_model(context.profile, f"labelling by a model ({form.json.key})")
    return {"form": form.id, "model": model["digest"], "votes": context.profile.curation.label_votes}
