"""The job that has a Chain-of-Thought RM judge a file of responses: `python -m kimi_pipeline.reward_models.judging_job SPEC`.

Belongs here: the spec, running the judge once a number of votes. Does not belong here: the judge (`cot.py`), what the
opinions are worth (`figures.py`).

The spec: `{"home", "profile": settings, "checkpoint": {"digest", "folder"}, "questions": PARQUET, "votes": [1, 5]}`; the
file has the columns `question`, `reference`, `response`. The result: `{"opinions": {votes: [an opinion a row]}, "seconds"}`.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reward_models.cot import CotJudge, Votes
from kimi_pipeline.reward_models.service import check_cot_folder
from kimi_pipeline.reward_models.wording import WORDINGS
from kimi_pipeline.rewards.second_opinion import Question

AT_ONCE = 500  # questions between two lines of progress


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Raises UserError where the checkpoint writes no text."""
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier

    began = time.monotonic()
    profile = Profile.model_validate(spec["profile"])
    folder = Path(spec["checkpoint"]["folder"])
    check_cot_folder(folder)
    rows = pq.read_table(spec["questions"], columns=["question", "reference", "response"]).to_pylist()
    questions = [Question(**row) for row in rows]
    carrier = VllmCarrier(
        folder, profile.inference, window=profile.model.window, dtype=profile.model.dtype, logprobs=False
    )
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for number in spec["votes"]:
            votes = Votes(number, profile.reward_models.temperature, profile.reward_models.max_tokens)
            wording = WORDINGS[profile.curation.template]
            judge = CotJudge(carrier, spec["checkpoint"]["digest"], wording, votes, profile.seed)
            own: list[dict[str, Any]] = []
            for start in range(0, len(questions), AT_ONCE):
                own += [asdict(one) for one in judge.judge(questions[start : start + AT_ONCE])]
                report.progress(len(own), len(questions), f"judged, {number} votes each")
            found[str(number)] = own
    finally:
        carrier.close()
    return {"opinions": found, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    job_main(run)
