"""The Chain-of-Thought RM in a process of its own, beside a training job [2.6.1].

Belongs here: the process (`python -m kimi_pipeline.reward_models.service`, a vLLM with the checkpoint's weights), and its
client. Does not belong here: judging (`cot.py`).

A training rank holds a vLLM with the policy's weights; vLLM's parallel state is one a process, so the judge gets another.
They talk in JSON lines over pipes; the service ends with its client. What fails on this side (a process that dies, hangs or
refuses its checkpoint) is an opinion that says so, and the response is excluded: it never ends a training.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kimi_pipeline.checkpoints import check_model_folder
from kimi_pipeline.errors import UserError
from kimi_pipeline.jobs import die_with_parent, owned_environment
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reward_models.cot import FAILED, CotJudge, Votes, version_of
from kimi_pipeline.reward_models.wording import WORDINGS
from kimi_pipeline.rewards.second_opinion import Opinion, Question, SecondOpinion

MODULE = "kimi_pipeline.reward_models.service"
REFUSED = "rm_refused"  # the checkpoint can't be served
START_SECONDS = 600.0
RESTARTS = 3  # of a service that died or hung; then all its opinions are failures
OF_A_JOB = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
CAUSAL = "ForCausalLM"


def check_cot_folder(folder: Path) -> None:
    """Raises UserError unless `folder` holds a causal language model: a Classic RM writes no verdict."""
    check_model_folder(folder)
    architectures = json.loads((folder / "config.json").read_text()).get("architectures") or ["no architecture"]
    if not any(str(name).endswith(CAUSAL) for name in architectures):
        raise UserError(
            f"{folder} holds {architectures[0]}, which writes no text: give a Chain-of-Thought RM (a causal model)"
        )


class JudgeProcess:
    """A `SecondOpinion`: the client. `seconds` bounds the wait for one call's opinions.

    The process starts at `start`, or with the first question; `module` is another one that calls `serve`. Thread-safe; calls
    are answered one after the other.
    """

    def __init__(
        self, folder: Path, checkpoint: str, profile: Profile, seconds: float, module: str | None = None
    ) -> None:
        self._module = module or MODULE
        self._spec = json.dumps({"folder": str(folder), "checkpoint": checkpoint, "profile": profile.settings()})
        self._seconds = seconds
        self.version = version_of(checkpoint, WORDINGS[profile.curation.template], votes_of(profile))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._restarts = RESTARTS
        self._refusal = ""

    def start(self) -> None:
        """Start the process and wait until it serves. Raises UserError where it does not, with its own line where it refuses
        its checkpoint."""
        with self._lock:
            if not self._start():
                raise UserError(
                    self._refusal
                    or f"the Chain-of-Thought RM did not start: its process ended, or said nothing in {START_SECONDS:g} s. "
                    "Its output above says why"
                )

    def judge(self, questions: Sequence[Question]) -> list[Opinion]:
        """[n] opinions, or failures."""
        with self._lock:
            while not self._refusal:
                if self._process is None and (self._restarts < 0 or not self._start()):
                    break
                answer = self._ask({"questions": [[one.question, one.reference, one.response] for one in questions]})
                if answer is not None:
                    return [Opinion(**one | {"evidence": tuple(one["evidence"])}) for one in answer["opinions"]]
                self._end()
        reason = REFUSED if self._refusal else FAILED
        failed = Opinion(None, reason, failed=True, judge=self.version, evidence=(self._refusal,))
        return [failed] * len(questions)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _start(self) -> bool:
        """Whether the process serves."""
        if self._process is not None:
            return True
        self._restarts -= 1
        environment = {name: value for name, value in owned_environment().items() if name not in OF_A_JOB}
        environment = {name: value for name, value in environment.items() if not name.startswith("DAGSTER_PIPES")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._lines = queue.Queue()
        threading.Thread(target=_read_lines, args=(self._process, self._lines), daemon=True).start()
        ready = self._ask(json.loads(self._spec), START_SECONDS)
        if ready is None or "refused" in ready:
            self._refusal = ready["refused"] if ready else ""
            self._end()
            return False
        return True

    def _ask(self, message: dict[str, Any], seconds: float | None = None) -> dict[str, Any] | None:
        """The answer to one message; None where none comes in time."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=self._seconds if seconds is None else seconds)
        except (OSError, queue.Empty):
            return None
        return None if line is None else dict(json.loads(line))

    def _end(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # a message that it never read
                        continue


def _read_lines(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # closed under us
        pass
    lines.put(None)


def serve(make: Callable[[dict[str, Any]], SecondOpinion]) -> None:
    """The process: the spec on the first line of standard input, from which the judge is made; then questions."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print belongs to nobody's protocol

    def tell(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    spec = json.loads(sys.stdin.readline())
    try:
        judge = make(spec)
    except UserError as error:
        tell({"refused": str(error)})
        return
    except Exception as error:  # an architecture or weights that vLLM can't load
        tell({"refused": f"{spec['folder']} can't be served: {type(error).__name__}: {error}".splitlines()[0]})
        return
    tell({"ready": judge.version})
    for line in sys.stdin:
        asked = [Question(*one) for one in json.loads(line)["questions"]]
        tell({"opinions": [asdict(one) for one in judge.judge(asked)]})


def _judge(spec: dict[str, Any]) -> CotJudge:
    from kimi_pipeline.inference.vllm_carrier import VllmCarrier

    profile = Profile.model_validate(spec["profile"])
    folder = Path(spec["folder"])
    check_cot_folder(folder)
    inference = profile.inference.model_copy(update={"tensor_parallel": 1})
    carrier = VllmCarrier(folder, inference, window=profile.model.window, dtype=profile.model.dtype, logprobs=False)
    return CotJudge(carrier, spec["checkpoint"], WORDINGS[profile.curation.template], votes_of(profile), profile.seed)


def votes_of(profile: Profile) -> Votes:
    settings = profile.reward_models
    return Votes(settings.votes, settings.temperature, settings.max_tokens)


if __name__ == "__main__":
    serve(_judge)
    sys.stdout.flush()
    os._exit(0)  # engines keep threads of their own
