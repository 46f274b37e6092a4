"""Rollouts of an iteration: k responses a problem from the colocated vLLM, rewarded group by group.

Belongs here: requests, segments, groups with their rewards and baselines' members, rows of the sample store. Does not
belong here: how vLLM is driven (`inference/vllm_carrier.py`), steps (`learning.py`), what a reward is (`rewards/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.request import Completion, SampleRequest, Sampling, error_code
from kimi_pipeline.inference.store import sample_row
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.inference.vllm_carrier import VllmCarrier
from kimi_pipeline.profiles.profile import Profile
from kimi_pipeline.rewards.contract import Breakdown, Response, Reward, Status
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import LogProbs, Segment, SegmentStatus
from kimi_pipeline.training.examples import prompt_ids

PURPOSE = "rollout"
MEMBERS_NEEDED = 2  # with fewer verdicts a problem has no baseline but its own reward
STATUSES = {"stop": SegmentStatus.FINISHED, "length": SegmentStatus.CUT_BY_LIMIT}


@dataclass(frozen=True)
class Member:
    """One response of a group: its segment (None where the engine failed), its verdict, its row in the sample store."""

    completion: Completion
    segment: Segment | None
    verdict: Breakdown

    @property
    def reward(self) -> float | None:
        """None where there is no verdict: such a response counts neither in the baseline nor in the loss."""
        return self.verdict.reward if self.segment is not None else None


@dataclass(frozen=True)
class Group:
    """The k responses to one problem. `place` is the problem's place in the iteration, on all ranks together."""

    place: int
    prompt: Prompt
    members: tuple[Member, ...]

    @property
    def judged(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.reward is not None)

    @property
    def is_trained_on(self) -> bool:
        """A group with fewer than two verdicts is dropped (and counted)."""
        return len(self.judged) >= MEMBERS_NEEDED

    def with_references(self, references: Mapping[int, LogProbs]) -> Group:
        """The group with the trainer's log-probs of its responses, by sample index; the others stay as they are."""
        members = tuple(
            replace(member, segment=member.segment.with_reference(references[member.segment.sample_index]))
            if member.segment is not None and member.segment.sample_index in references
            else member
            for member in self.members
        )
        return replace(self, members=members)


class RolloutWorker:
    """Samples with one engine. `policy` names the training run that the rollouts belong to: it is their checkpoint in
    the sample store, since the weights of an iteration have no folder of their own."""

    def __init__(self, carrier: VllmCarrier, profile: Profile, reward: Reward, policy: str) -> None:
        self._carrier = carrier
        self._profile = profile
        self._reward = reward
        self._policy = policy
        self._template = TEMPLATES[profile.curation.template]
        self._sampling = Sampling(profile.rl.temperature, profile.rl.max_tokens)
        self._prompt_ids: dict[str, tuple[int, ...]] = {}

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """Put all prompts into tokens. Raises UserError where one leaves no room for a response in the window."""
        messages = [self._template.user_message(prompt.prompt, "reasoning") for prompt in prompts]
        room = self._carrier.window - self._profile.rl.max_tokens
        for prompt, ids in zip(prompts, prompt_ids(self._carrier.tokenizer, messages), strict=True):
            if len(ids) > room:
                raise UserError(
                    f"problem {prompt.problem_id} takes {len(ids)} tokens and rl.max_tokens is "
                    f"{self._profile.rl.max_tokens}, model.window {self._carrier.window}: raise model.window, lower "
                    f"rl.max_tokens, or leave the problem out"
                )
            self._prompt_ids[prompt.problem_id] = tuple(ids.tolist())

    def tokens_of(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prepared prompt."""
        return self._prompt_ids[prompt.problem_id]

    def requests(self, prompt: Prompt, iteration: int) -> list[SampleRequest]:
        """The k requests of one problem; their seeds depend on iteration, problem and sample, never on rank or batch."""
        return [
            SampleRequest(
                problem_id=prompt.problem_id,
                purpose=PURPOSE,
                checkpoint=self._policy,
                template=self._template.id("reasoning"),
                user_message=self._template.user_message(prompt.prompt, "reasoning"),
                sampling=self._sampling,
                sample_index=index,
                run_seed=self._profile.seed,
                origin=f"iteration:{iteration}",
                iteration=iteration,
                prompt_token_ids=self._prompt_ids[prompt.problem_id],
            )
            for index in range(self._profile.rl.samples)
        ]

    def sample(self, prompts: Sequence[tuple[int, Prompt]], iteration: int, weight_version: int) -> list[Group]:
        """Sample and reward the problems (each with its place); a group is rewarded as soon as its last response ends.

        All requests are handed to the engine at once, so that it decodes the largest batches.
        """
        places = {prompt.problem_id: place for place, prompt in prompts}
        by_id = {prompt.problem_id: prompt for _, prompt in prompts}
        waiting: dict[str, list[Completion]] = {name: [] for name in by_id}
        groups: list[Group] = []
        requests = [request for _, prompt in prompts for request in self.requests(prompt, iteration)]
        for completion in self._carrier.generate(requests):
            name = completion.request.problem_id
            waiting[name].append(completion)
            if len(waiting[name]) == self._profile.rl.samples:
                done = sorted(waiting.pop(name), key=lambda one: one.request.sample_index)
                groups.append(self._group(places[name], by_id[name], done, weight_version))
        return sorted(groups, key=lambda group: group.place)

    def _group(self, place: int, prompt: Prompt, completions: Sequence[Completion], weight_version: int) -> Group:
        answered = [one for one in completions if one.finish_reason in STATUSES]
        responses = [Response(one.text, one.completion_tokens, one.finish_reason == "stop") for one in answered]
        scored = zip(answered, self._reward.score(prompt.reference, responses), strict=True)
        verdicts = {one.request.sample_index: verdict for one, verdict in scored}
        members = []
        for completion in completions:
            verdict = verdicts.get(completion.request.sample_index)
            segment = _segment(completion, weight_version) if verdict else None
            if verdict is None:
                reason = error_code(completion.error or "unknown")
                verdict = Breakdown(Status.INFRASTRUCTURE_ERROR, None, reason, rule_version=self._reward.version)
            members.append(Member(completion, segment, verdict))
        return Group(place, prompt, tuple(members))

    def rows(self, groups: Sequence[Group]) -> list[dict[str, Any]]:
        """The rows of the sample store for every response, those without a verdict included."""
        return [
            sample_row(member.completion, member.verdict, self._carrier.name)
            for group in groups
            for member in group.members
        ]


def _segment(completion: Completion, weight_version: int) -> Segment:
    request = completion.request
    assert request.prompt_token_ids is not None and request.iteration is not None
    return Segment(
        problem_id=request.problem_id,
        sample_index=request.sample_index,
        segment_index=request.segment_index,
        iteration=request.iteration,
        weight_version=weight_version,
        context_ids=np.array(request.prompt_token_ids, dtype=np.int64),
        response_ids=np.array(completion.token_ids, dtype=np.int64),
        behaviour_log_probs=np.array(completion.logprobs, dtype=np.float32),
        status=STATUSES[completion.finish_reason],
    )
