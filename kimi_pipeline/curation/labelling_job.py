"""The labelling job: `python -m kimi_pipeline.curation.labelling_job SPEC` asks a model for the labels that are missing.

Belongs here: asking and committing. Does not belong here: forms and votes (`model_labels.py`), the carriers (`inference/`).

Spec: `{"home", "profile", "run_id", "checkpoint": {"digest", "folder"}, "form": {"version", "instruction", "json": {"key",
"values"}}, "votes", "problems"}`. Answers are committed as samples are (at the latest after `limits.commit_seconds`), so that
a killed job asks for the rest alone; no engine starts where nothing is missing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kimi_pipeline import tables
from kimi_pipeline.curation.model_labels import MAX_TOKENS, TEMPERATURE, Form
from kimi_pipeline.home import Home
from kimi_pipeline.inference.carriers import Carriers
from kimi_pipeline.inference.json_form import JsonForm
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.inference.store import Committer
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles.profile import Profile

PURPOSE = "label"


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Ask for what is missing; returns how many answers came, how many failed for now, and the last error."""
    profile = Profile.model_validate(spec["profile"])
    with contextlib.closing(Carriers(profile)) as carriers:
        return _label(spec, profile, carriers, report)


def _label(spec: dict[str, Any], profile: Profile, carriers: Carriers, report: Report) -> dict[str, Any]:
    form, limits = _form(spec["form"]), profile.limits
    lake, checkpoint = Lake(Home(Path(spec["home"])).lake), spec["checkpoint"]
    stored = lake.rows(
        "select sample_id from model_labels where form = ? and checkpoint = ?", [form.id, checkpoint["digest"]]
    )
    requests = _missing(spec, profile, form, {row["sample_id"] for row in stored})
    first = next(requests, None)
    total = spec["votes"] * pq.read_metadata(spec["problems"]).num_rows
    told: dict[str, Any] = {"answered": 0, "failed": 0, "last_error": ""}
    if first is None:
        return told
    folder = Path(checkpoint["folder"]) if checkpoint["folder"] else None
    with Committer(
        lake,
        run_id=spec["run_id"],
        reason=f"labels: {form.id}",
        seconds=limits.commit_seconds,
        samples=limits.commit_samples,
        table=tables.MODEL_LABELS,
    ) as committer:
        carrier = carriers.serving(folder)
        for answer in carrier.generate(chain([first], requests)):
            if answer.error and answer.retryable:
                told["failed"] += 1
                told["last_error"] = answer.error
                continue
            committer.add(_row(answer, form, carrier.name))
            told["answered"] += 1
            report.progress(len(stored) + told["answered"], total, f"labels ({form.json.key})")
    return told


def _form(values: dict[str, Any]) -> Form:
    form = JsonForm(values["json"]["key"], tuple(values["json"]["values"]))
    return Form(values["version"], values["instruction"], form)


def _missing(spec: dict[str, Any], profile: Profile, form: Form, stored: set[str]) -> Iterator[SampleRequest]:
    sampling = Sampling(TEMPERATURE, MAX_TOKENS, json_schema=json.dumps(form.json.schema, ensure_ascii=False))
    checkpoint = spec["checkpoint"]["digest"]
    for row in pq.read_table(spec["problems"]).to_pylist():
        for number in range(spec["votes"]):
            request = SampleRequest(
                problem_id=row["problem_id"],
                purpose=PURPOSE,
                checkpoint=checkpoint,
                template=form.id,
                user_message=form.message(row["prompt"] or ""),
                sampling=sampling,
                sample_index=number,
                run_seed=profile.seed,
                origin=checkpoint,
            )
            if request.sample_id not in stored:
                yield request


def _row(answer: Completion, form: Form, carrier: str) -> dict[str, Any]:
    request = answer.request
    return {
        "sample_id": request.sample_id,
        "problem_id": request.problem_id,
        "form": form.id,
        "checkpoint": request.checkpoint,
        "sample_index": request.sample_index,
        "text": answer.text,
        "error": answer.error or "",
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "carrier": carrier,
        "cost": answer.cost,
    }


if __name__ == "__main__":
    job_main(run)
