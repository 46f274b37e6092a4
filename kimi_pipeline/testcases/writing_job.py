"""The job in which a model writes generators: `python -m kimi_pipeline.testcases.writing_job SPEC`.

Belongs here: rounds of asking, trying what was written, feeding errors back. Does not belong here: prompt and parser
(`writing.py`), the rules of a whole suite.

Spec: `{"home", "profile", "run_id", "checkpoint": {"digest", "folder"}, "problems": [{"problem_id", "statement",
"validator"}]}`. A program that reads well is tried on a few cases of each stratum in the sandbox; its flaw is told to the
model in the next round.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.inference.sampling_job import Carriers
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles.profile import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.sandbox_door import open_sandbox
from kimi_pipeline.testcases.generating import cyaron_folder, draw_inputs
from kimi_pipeline.testcases.writing import PROMPT, Attempt, prompt, read_answer
from sandbox import Sandbox

PURPOSE = "generator"
TEMPERATURE = 0.7
TRIED = {"small": 2, "random": 2, "extreme": 1, "adversarial": 1}

Ask = Callable[[Sequence[SampleRequest]], Sequence[Completion]]


def write_generators(
    problems: Sequence[Mapping[str, Any]],
    ask: Ask,
    box: Sandbox,
    *,
    checkpoint: str,
    attempts: int,
    max_tokens: int,
    seed: int,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Attempt]]:
    """All attempts by problem. A problem is asked for again, with the error, until an attempt works or none is left."""
    found: dict[str, list[Attempt]] = {one["problem_id"]: [] for one in problems}
    waiting = list(problems)
    for number in range(1, attempts + 1):
        requests = [_request(one, found[one["problem_id"]], number, checkpoint, max_tokens, seed) for one in waiting]
        answers = {answer.request.problem_id: answer for answer in ask(requests)}
        for one in waiting:
            answer = answers[one["problem_id"]]
            attempt = _read(answer, f"model:{checkpoint[:12]}", number)
            if attempt.reason is Reason.GENERATOR_READY:
                attempt = tried(box, attempt, one, seed)
            found[one["problem_id"]].append(attempt)
        waiting = [one for one in waiting if found[one["problem_id"]][-1].reason is not Reason.GENERATOR_READY]
        say(f"attempt {number}: {len(problems) - len(waiting)} of {len(problems)} generators work")
        if not waiting:
            break
    return found


def tried(box: Sandbox, attempt: Attempt, problem: Mapping[str, Any], seed: int) -> Attempt:
    """The attempt, refused with the first flaw that a few of its inputs show."""
    assert attempt.program is not None
    cases = draw_inputs(
        box, attempt.program, problem["validator"], problem_id=problem["problem_id"], seed=seed, counts=TRIED
    )
    flaw = next((one for one in cases if not one.usable and one.reason is not Reason.DUPLICATE_INPUT), None)
    if flaw is None:
        return attempt
    return replace(attempt, reason=flaw.reason, detail=f"STRATUM {flaw.stratum!r}, NUMBER {flaw.number}: {flaw.detail}")


def _read(answer: Completion, origin: str, number: int) -> Attempt:
    if answer.error:
        return Attempt(origin, number, None, Reason.NOT_A_PROGRAM, f"the model gave no answer: {answer.error}"[:300])
    return read_answer(origin, number, answer.text)


def _request(
    problem: Mapping[str, Any], before: Sequence[Attempt], number: int, checkpoint: str, max_tokens: int, seed: int
) -> SampleRequest:
    last = before[-1] if before else None
    trouble = f"{last.reason.meaning}. {last.detail}" if last else ""
    return SampleRequest(
        problem_id=problem["problem_id"],
        purpose=PURPOSE,
        checkpoint=checkpoint,
        template=PROMPT,
        user_message=prompt(problem["statement"], last.program if last else None, trouble),
        sampling=Sampling(TEMPERATURE, max_tokens),
        sample_index=number,
        run_seed=seed,
        origin=checkpoint,
    )


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    profile = Profile.model_validate(spec["profile"])
    checkpoint = spec["checkpoint"]
    folder = Path(checkpoint["folder"]) if checkpoint["folder"] else None
    carriers = Carriers(profile)
    try:
        with contextlib.ExitStack() as stack:
            packages = stack.enter_context(cyaron_folder())
            section = profile.sandbox.model_copy(update={"packages": str(packages)})
            box = stack.enter_context(open_sandbox(section))
            found = write_generators(
                spec["problems"],
                lambda requests: list(carriers.serving(folder).generate(requests)),
                box,
                checkpoint=checkpoint["digest"],
                attempts=profile.testcases.writer_attempts,
                max_tokens=profile.testcases.writer_max_tokens,
                seed=profile.seed,
                say=report.info,
            )
    finally:
        carriers.close()
    return {"attempts": {name: [asdict(one) for one in several] for name, several in found.items()}}


if __name__ == "__main__":
    job_main(run)
