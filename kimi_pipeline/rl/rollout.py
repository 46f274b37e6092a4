"""Rollouts of an iteration: one segment for every open trajectory, from the colocated vLLM.

Belongs here: requests, token budgets, segments from completions, whole responses as completions of the sample store.
Does not belong here: how vLLM is driven (`inference/vllm_carrier.py`), rewards (`judging.py`), steps (`learning.py`).

A segment's end depends on its trajectory alone: the budget is each trajectory's own, not a pool that is shared, and its
seed is of the iteration in which the trajectory began, problem, sample and segment, never of rank or batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.request import Completion, Repetition, SampleRequest, Sampling, error_code, failed
from kimi_pipeline.inference.templates import TEMPLATES
from kimi_pipeline.inference.vllm_carrier import VllmCarrier
from kimi_pipeline.profiles.profile import Profile
from kimi_pipeline.rl.prompt_sampling import Prompt
from kimi_pipeline.rl.segments import Ids, Segment, SegmentStatus
from kimi_pipeline.rl.trajectories import Group, GroupKey, Trajectory, begin
from kimi_pipeline.training.examples import prompt_ids

PURPOSE = "rollout"
STATUSES = {"stop": SegmentStatus.FINISHED, "repetition": SegmentStatus.REPETITION}
REASONS = {
    SegmentStatus.FINISHED: "stop",
    SegmentStatus.CUT_BY_LIMIT: "length",
    SegmentStatus.REPETITION: "repetition",
    SegmentStatus.ABORTED: "error",
}


class RolloutWorker:
    """Samples with one engine. `policy` names the training run that the rollouts belong to: it is their checkpoint in
    the sample store, since the weights of an iteration have no folder of their own."""

    def __init__(self, carrier: VllmCarrier, profile: Profile, policy: str) -> None:
        self._carrier = carrier
        self._profile = profile
        self._policy = policy
        self._template = TEMPLATES[profile.curation.template]
        rl = profile.rl
        self._repetition = Repetition(rl.repetition_tokens, rl.repetition_times) if rl.repetition_tokens else None
        self._prompt_ids: dict[str, Ids] = {}

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
            self._prompt_ids[prompt.problem_id] = ids.astype(np.int64)

    def tokens_of(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prepared prompt."""
        return tuple(self._prompt_ids[prompt.problem_id].tolist())

    def begin(self, key: GroupKey, prompt: Prompt) -> Group:
        """A new group on a prepared prompt."""
        return begin(key, prompt, self._prompt_ids[prompt.problem_id], self._profile.rl.samples)

    def grow(self, groups: Sequence[Group], iteration: int, weight_version: int) -> Iterator[Group]:
        """Give every open trajectory its next segment; a group comes back as soon as its last one ends.

        All requests are handed to the engine at once, so that it decodes the largest batches.
        """
        by_key = {group.key: group for group in groups}
        requests: dict[str, tuple[GroupKey, Trajectory, SampleRequest]] = {}
        missing = dict.fromkeys(by_key, 0)
        for group in groups:
            for trajectory in group.trajectories:
                if trajectory.is_open:
                    request = self._request(group.key, trajectory, iteration)
                    requests[request.sample_id] = (group.key, trajectory, request)
                    missing[group.key] += 1
        grown: dict[GroupKey, dict[int, Segment]] = {key: {} for key in by_key}
        for completion in self._carrier.generate(request for _, _, request in requests.values()):
            key, trajectory, _ = requests[completion.request.sample_id]
            segment = self._segment(trajectory, completion, iteration, weight_version)
            grown[key][trajectory.sample_index] = segment
            if len(grown[key]) == missing[key]:
                yield by_key[key].extended(grown[key])

    def _request(self, key: GroupKey, trajectory: Trajectory, iteration: int) -> SampleRequest:
        rl = self._profile.rl
        left = rl.max_tokens - trajectory.tokens
        budget = left if rl.segment_tokens is None else min(left, rl.segment_tokens)
        return self._as_request(key, trajectory, budget, segment_index=len(trajectory.segments), iteration=iteration)

    def _as_request(
        self, key: GroupKey, trajectory: Trajectory, max_tokens: int, *, segment_index: int, iteration: int
    ) -> SampleRequest:
        rl = self._profile.rl
        return SampleRequest(
            problem_id=trajectory.problem_id,
            purpose=PURPOSE,
            checkpoint=self._policy,
            template=self._template.id("reasoning"),
            user_message="",  # the tokens are given
            sampling=Sampling(rl.temperature, max_tokens, repetition=self._repetition),
            sample_index=trajectory.sample_index,
            run_seed=self._profile.seed,
            origin=f"iteration:{key.began}",
            segment_index=segment_index,
            iteration=iteration,
            prompt_token_ids=tuple(trajectory.context_ids.tolist()),
        )

    def _segment(self, trajectory: Trajectory, completion: Completion, iteration: int, weight_version: int) -> Segment:
        aborted = completion.finish_reason == "error"
        if aborted:
            status = SegmentStatus.ABORTED
        elif completion.finish_reason == "length":
            whole = trajectory.tokens + completion.completion_tokens >= self._profile.rl.max_tokens
            status = SegmentStatus.CUT_BY_LIMIT if whole else SegmentStatus.CUT_BY_BUDGET
        else:
            status = STATUSES[completion.finish_reason]
        return Segment(
            problem_id=trajectory.problem_id,
            sample_index=trajectory.sample_index,
            segment_index=len(trajectory.segments),
            iteration=iteration,
            weight_version=weight_version,
            context_ids=trajectory.context_ids,
            response_ids=np.array([] if aborted else completion.token_ids, dtype=np.int64),
            behaviour_log_probs=np.array([] if aborted else completion.logprobs, dtype=np.float32),
            status=status,
            error=error_code(completion.error or "unknown") if aborted else None,
        )

    def response(self, key: GroupKey, trajectory: Trajectory) -> Completion:
        """The whole response of an ended trajectory, as the sample store has it: one sample, however many segments."""
        assert trajectory.status is not None
        last = trajectory.segments[-1]
        whole = Trajectory(trajectory.problem_id, trajectory.sample_index, trajectory.prompt_ids)
        request = self._as_request(key, whole, self._profile.rl.max_tokens, segment_index=0, iteration=last.iteration)
        if last.status is SegmentStatus.ABORTED:
            return failed(request, last.error or "unknown", retryable=False, prompt_tokens=len(whole.prompt_ids))
        ids = trajectory.response_ids
        return Completion(
            request=request,
            text=self.text(ids),
            finish_reason=REASONS[trajectory.status],
            prompt_tokens=len(whole.prompt_ids),
            completion_tokens=len(ids),
        )

    def text(self, ids: Ids) -> str:
        """Response tokens as text, without special tokens."""
        tokenizer = self._carrier.tokenizer
        return str(tokenizer.decode(ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False))
