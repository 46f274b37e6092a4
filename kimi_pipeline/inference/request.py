"""What is asked of a model and what comes back: one request type for every carrier.

Belongs here: `Sampling`, `SampleRequest`, `Completion`, the `Carrier` protocol. Does not belong here: how a carrier
answers (`vllm_carrier.py`, `endpoint_carrier.py`), verdicts (`rewards/`), storage (`store.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from kimi_pipeline.digests import digest, request_seed

PURPOSES = ("difficulty", "guess", "sft", "rollout", "evaluation", "imported", "judgement")


@dataclass(frozen=True, slots=True)
class Repetition:
    """Stop an answer that ends in the same pattern of at most `longest` tokens, `times` in a row."""

    longest: int
    times: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. `max_tokens` bounds the output alone; temperature 0 is greedy; `repetition` ends early;
    `short_answer` lets the decoder write nothing but a boxed answer that fits (the template's id tells such samples).
    `json_schema` (as JSON text) lets it write nothing but one object of that form."""

    temperature: float
    max_tokens: int
    top_p: float = 1.0
    repetition: Repetition | None = None
    short_answer: bool = False
    json_schema: str | None = None


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One completion of one problem.

    `checkpoint` is the digest of the weights that answer. `origin` feeds the seed: the checkpoint, or `iteration:N` in
    RL. `prompt_token_ids` is given where a carrier must continue exact tokens (a later segment), else None and the
    carrier renders `user_message` with the model's chat template.
    """

    problem_id: str
    purpose: str
    checkpoint: str
    template: str
    user_message: str
    sampling: Sampling
    sample_index: int
    run_seed: int
    origin: str
    segment_index: int = 0
    iteration: int | None = None
    prompt_token_ids: tuple[int, ...] | None = None

    @property
    def seed(self) -> int:
        """The request's seed, by `digests.request_seed`: never of batch or worker."""
        return request_seed(
            self.run_seed, self.purpose, self.origin, self.problem_id, self.sample_index, self.segment_index
        )

    @property
    def sample_id(self) -> str:
        """The identity of the sample: whatever changes its distribution or its place in the stream of draws."""
        sampling = self.sampling
        return digest(
            [
                self.problem_id,
                self.purpose,
                self.checkpoint,
                self.origin,
                self.template,
                [sampling.temperature, sampling.max_tokens, sampling.top_p],
                self.run_seed,
                self.sample_index,
                self.segment_index,
            ]
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """A carrier's answer. `finish_reason` is `stop`, `length` (cut by max_tokens), `repetition` or `error`.

    `token_ids` and `logprobs` (one a token: the sampler's own, natural logarithm) are empty where the carrier cannot
    tell them. `error` (`code: what happened`) says what went wrong after all retries; such an answer has no verdict and
    is never a wrong one.
    `retryable`: the same request may well succeed later (a timeout), so nothing is stored and the next run asks again;
    else the error is a property of the request (a prompt longer than the window) and is stored, once, as excluded.
    """

    request: SampleRequest
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    cost: float = 0.0
    error: str | None = None
    retryable: bool = False


def failed(
    request: SampleRequest, error: str, *, retryable: bool, prompt_tokens: int = 0, cost: float = 0.0
) -> Completion:
    """The completion of a request that nobody could answer. `error` is `code: what happened`."""
    return Completion(request, "", "error", prompt_tokens, 0, cost=cost, error=error, retryable=retryable)


def error_code(error: str) -> str:
    """The code of an error: the part to count by."""
    return error.partition(":")[0]


class Carrier(Protocol):
    """Answers requests. Completions come as they finish, in any order, each request exactly once."""

    name: str

    def generate(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]: ...

    def close(self) -> None: ...
