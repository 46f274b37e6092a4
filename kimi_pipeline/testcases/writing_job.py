"""The job in which a model writes programs of one form: `python -m kimi_pipeline.testcases.writing_job SPEC`.

Belongs here: rounds of asking, trying what was written, feeding errors back. Does not belong here: prompt and parser
(`writing.py`), what is asked and tried (`forms.py`), the rules of a whole suite.

Spec: `{"home", "profile", "run_id", "form", "checkpoint": {"digest", "folder"}, "problems": [{"problem_id", "statement",
...}]}`, with what the form needs of a problem. A program that reads well is tried on a few inputs in the sandbox; its flaw is
told to the model in the next round.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kimi_pipeline.inference.carriers import Carriers
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.profiles.profile import Profile
from kimi_pipeline.reasons import Reason
from kimi_pipeline.sandbox_door import open_sandbox
from kimi_pipeline.testcases.forms import FORMS
from kimi_pipeline.testcases.generating import cyaron_folder
from kimi_pipeline.testcases.writing import Asked, Attempt, Form, prompt, read_answer, tried
from sandbox import Sandbox

TEMPERATURE = 0.7

Ask = Callable[[Sequence[SampleRequest]], Sequence[Completion]]


def write_programs(
    form: Form,
    problems: Sequence[Asked],
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
        requests = [
            _request(form, one, found[one["problem_id"]], number, checkpoint, max_tokens, seed) for one in waiting
        ]
        answers = {answer.request.problem_id: answer for answer in ask(requests)}
        for one in waiting:
            answer = answers[one["problem_id"]]
            attempt = _read(form, answer, f"model:{checkpoint[:12]}", number)
            found[one["problem_id"]].append(tried(form, box, attempt, one, seed))
        waiting = [one for one in waiting if found[one["problem_id"]][-1].reason is not form.ready]
        say(f"attempt {number}: {len(problems) - len(waiting)} of {len(problems)} {form.name}s work")
        if not waiting:
            break
    return found


def _read(form: Form, answer: Completion, origin: str, number: int) -> Attempt:
    if answer.error:
        return Attempt(origin, number, None, Reason.NOT_A_PROGRAM, f"the model gave no answer: {answer.error}"[:300])
    return read_answer(form, origin, number, answer.text)


def _request(
    form: Form, problem: Asked, before: Sequence[Attempt], number: int, checkpoint: str, max_tokens: int, seed: int
) -> SampleRequest:
    last = before[-1] if before else None
    trouble = f"{last.reason.meaning}. {last.detail}" if last else ""
    return SampleRequest(
        problem_id=problem["problem_id"],
        purpose=form.name,
        checkpoint=checkpoint,
        template=form.template,
        user_message=prompt(form, problem, last.program if last else None, trouble),
        sampling=Sampling(TEMPERATURE, max_tokens),
        sample_index=number,
        run_seed=seed,
        origin=checkpoint,
    )


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    profile = Profile.model_validate(spec["profile"])
    checkpoint = spec["checkpoint"]
    folder = Path(checkpoint["folder"]) if checkpoint["folder"] else None
    with contextlib.ExitStack() as stack:
        carriers = stack.enter_context(contextlib.closing(Carriers(profile)))
        packages = stack.enter_context(cyaron_folder())
        section = profile.sandbox.model_copy(update={"packages": str(packages)})
        box = stack.enter_context(open_sandbox(section))
        found = write_programs(
            FORMS[spec["form"]],
            spec["problems"],
            lambda requests: list(carriers.serving(folder).generate(requests)),
            box,
            checkpoint=checkpoint["digest"],
            attempts=profile.testcases.writer_attempts,
            max_tokens=profile.testcases.writer_max_tokens,
            seed=profile.seed,
            say=report.info,
        )
    return {"attempts": {name: [asdict(one) for one in several] for name, several in found.items()}}


if __name__ == "__main__":
    job_main(run)
