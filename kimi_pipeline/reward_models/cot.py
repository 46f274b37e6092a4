"""The Chain-of-Thought RM as a judge: responses in, a verdict each, from one vote or the majority of several [2.3.5].

Belongs here: requests to a carrier (constrained to the JSON object of `verdicts.py`), counting votes. Does not belong here:
the model's training (`stages.py`), which responses are put to it (`rewards/by_kind.py`).

Whatever a model writes, or a carrier fails at, ends in a verdict with a reason: nothing here raises because of a response.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kimi_pipeline.digests import digest
from kimi_pipeline.inference.request import Carrier, Completion, SampleRequest, Sampling
from kimi_pipeline.reward_models.verdicts import SCHEMA, Judgement, Trouble, read
from kimi_pipeline.reward_models.wording import Wording
from kimi_pipeline.rewards.second_opinion import Opinion, Question

PURPOSE = "judgement"
TIE = "rm_tie"
TOO_LONG = "rm_too_long"  # question, reference and response exceed the model's window
FAILED = "rm_failed"  # the carrier gave no answer


@dataclass(frozen=True, slots=True)
class Votes:
    """How often each question is judged. One vote is greedy; several are sampled at `temperature`."""

    number: int = 1
    temperature: float = 1.0
    max_tokens: int = 1024

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature if self.number > 1 else 0.0, self.max_tokens, json_schema=json.dumps(SCHEMA))


def version_of(checkpoint: str, wording: Wording, votes: Votes) -> str:
    """The name that evidence carries: weights, wording, votes."""
    return f"cot_rm:{checkpoint[:12]}({wording.id},votes={votes.number})"


class CotJudge:
    """Judges with the model that `carrier` serves. `checkpoint` names its weights: seeds and evidence depend on it."""

    def __init__(self, carrier: Carrier, checkpoint: str, wording: Wording, votes: Votes, seed: int = 0) -> None:
        self._carrier = carrier
        self._checkpoint = checkpoint
        self._wording = wording
        self._votes = votes
        self._seed = seed
        self.version = version_of(checkpoint, wording, votes)

    def judge(self, questions: Sequence[Question]) -> list[Opinion]:
        """[n] opinions; equal questions are asked once. The seconds of a call are shared out by tokens."""
        began = time.monotonic()
        distinct = {_key(question): question for question in questions}
        found: dict[str, list[Completion]] = {key: [] for key in distinct}
        for completion in self._carrier.generate(self._requests(distinct)):
            found[completion.request.problem_id].append(completion)
        seconds = time.monotonic() - began
        total = sum(one.completion_tokens for own in found.values() for one in own)
        opinions = {key: opinion(own, self.version, seconds / max(1, total)) for key, own in found.items()}
        return [opinions[_key(question)] for question in questions]

    def _requests(self, distinct: dict[str, Question]) -> Iterator[SampleRequest]:
        for key, question in distinct.items():
            for vote in range(self._votes.number):
                yield SampleRequest(
                    problem_id=key,
                    purpose=PURPOSE,
                    checkpoint=self._checkpoint,
                    template=self._wording.id,
                    user_message=self._wording.message(question.question, question.reference, question.response),
                    sampling=self._votes.sampling,
                    sample_index=vote,
                    run_seed=self._seed,
                    origin=self._checkpoint,
                )


def _key(question: Question) -> str:
    """What a request goes by: the content, so that seeds depend on nothing else."""
    return digest([question.question, question.reference, question.response])


def opinion(completions: Sequence[Completion], judge: str, seconds_a_token: float = 0.0) -> Opinion:
    """The majority of the votes that hold a verdict. Without any, the reason says why; with as many for as against, too."""
    own = sorted(completions, key=lambda one: one.request.sample_index)
    votes = [read(one.text, one.finish_reason == "stop") for one in own if one.error is None]
    tokens = sum(one.completion_tokens for one in own)
    verdicts = [vote.correct for vote in votes if vote.correct is not None]
    agreeing = sum(verdicts)
    correct, reason = None, None
    if not own or len(verdicts) == 0:
        reason = _why(own, votes)
    elif 2 * agreeing == len(verdicts):
        reason = TIE
    else:
        correct = 2 * agreeing > len(verdicts)
    return Opinion(
        correct=correct,
        reason=reason,
        failed=reason == FAILED,
        share=agreeing / len(verdicts) if verdicts else None,
        judge=judge,
        tokens=tokens,
        seconds=seconds_a_token * tokens,
        evidence=tuple(one.text if one.error is None else one.error for one in own),
    )


def _why(completions: Sequence[Completion], votes: Sequence[Judgement]) -> str:
    """The reason of most votes without a verdict; a failure of the carrier only where nothing else is known."""
    reasons = Counter(str(vote.trouble or Trouble.NO_VERDICT) for vote in votes)
    if reasons:
        return reasons.most_common(1)[0][0]
    if completions and all(not one.retryable for one in completions):
        return TOO_LONG
    return FAILED
