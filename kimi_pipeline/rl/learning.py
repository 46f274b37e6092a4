"""The training phase of an iteration: reference log-probs, then the mini-steps.

Belongs here: which responses go into which step, forward and backward passes, what is measured. Does not belong here:
the losses as formulas (`mirror_descent.py`, `objectives.py`), sampling (`rollout.py`), rewards (`judging.py`).

A segment gets its reference, the trainer's log-probs under the weights that sampled it, in the iteration that sampled it
and before the first step: those of groups that go on as well, which are trained on later [2.6.2]. Segments that no loss
will look at get none (`Segment.may_be_in_loss`): where the loss is on the segment in which a response ends, a response
that was cut is not scored until it has ended. Gap and entropy are measured on what is scored.

Each complete group is in exactly one mini-step, chosen by its place among them, so that any number of ranks takes the
same steps. Until the first step is taken the weights are those of this iteration's rollouts: the log-ratio of a response
that was sampled in it alone is 0, and a group of such without signal (no gain in it) has no gradient at all. So the
mini-steps before the first one with a signal are left out, and that one needs neither a reference pass of its own nor its
silent groups. This is exact, and more than thrift: rounding differences of two forward passes are a gradient too, which
a fresh Adam would scale up to a full step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl import mirror_descent
from kimi_pipeline.rl.objectives import objective_of
from kimi_pipeline.rl.segments import Ids, LogProbs
from kimi_pipeline.rl.trajectories import Group, GroupKey, SegmentKey, Trajectory
from kimi_pipeline.training.engine import NotFinite, Trainer
from kimi_pipeline.training.packing import collate, least_padding

NO_GAIN = 1e-9  # an advantage below it is a rounding error of the baseline


def step_of(place: int, mini_steps: int) -> int:
    """The mini-step of the group at `place` among the complete ones, whatever the number of ranks."""
    return place % mini_steps


def rank_of(place: int, mini_steps: int, ranks: int) -> int:
    """The rank that trains on the group at `place`: every mini-step is spread over all ranks."""
    return (place // mini_steps) % ranks


def learning_rate(iteration: int, settings: Rl) -> float:
    """The rate of an iteration (1, 2, ...): it rises over the first ones, then stays. A first Adam step moves every weight
    by the whole rate, whichever way its gradient points: at full rate the first iterations undo some of the SFT."""
    return settings.learning_rate * min(1.0, iteration / (settings.warm_up + 1))


@dataclass(frozen=True)
class Learned:
    """What training leaves behind, the same on every rank.

    `references`: the trainer's log-probs of those segments sampled in this iteration that a loss may look at.
    `advantages`: of each judged response of a group that was trained on, by group and sample index. `stale`: those of them
    that had no segment left in the loss.
    """

    references: dict[SegmentKey, LogProbs]
    advantages: dict[tuple[GroupKey, int], float]
    stale: frozenset[tuple[GroupKey, int]]
    figures: dict[str, float]


@dataclass
class _Item:
    """Tokens to score: `response_ids` [n] after `context_ids`; `stored` are the references of those that earlier
    iterations sampled, `behaviour` the sampler's log-probs of the rest, which is the segment `fresh` (or nothing).

    The rest is for those that are trained on: `size` is the k of its group, `signal` whether its group has a gradient
    before the first step, `step` its mini-step.
    """

    context_ids: Ids
    response_ids: Ids
    stored: LogProbs
    behaviour: LogProbs
    fresh: SegmentKey | None
    gain: float = 0.0
    size: int = 1
    signal: bool = False
    step: int = -1
    found: LogProbs | None = None  # the reference of `fresh`

    @property
    def length(self) -> int:
        return len(self.context_ids) + len(self.response_ids)

    @property
    def reference(self) -> LogProbs:
        """[n]. Only once that of the fresh segment is known."""
        if self.fresh is None:
            return self.stored
        assert self.found is not None, "a reference is computed before the first step"
        return np.concatenate([self.stored, self.found])


@dataclass
class _Measured:
    """What the passes of this rank have seen; `ratios` holds those of responses that were trained on. `scored` and `trained`
    count tokens, prompts included, that went forward alone, and forward and backward."""

    loss: float = 0.0
    ratios: list[torch.Tensor] = field(default_factory=list)
    entropy: float = 0.0
    entropy_tokens: int = 0
    scored: int = 0
    trained: int = 0
    norms: list[float] = field(default_factory=list)


class Learner:
    """Takes the mini-steps. All ranks call it with the same groups, in the same order, and take their share."""

    def __init__(self, trainer: Trainer, settings: Rl, pad_id: int) -> None:
        self._trainer = trainer
        self._settings = settings
        self._pad_id = pad_id
        self._objective = objective_of(settings)

    def learn(self, complete: Sequence[Group], growing: Sequence[Group], iteration: int) -> Learned:
        """Train on the complete groups; score what this iteration sampled of those that go on and is trained on later.

        Raises UserError where a gradient is no finite number, naming the mini-step; the weights are those before it.
        """
        if self._settings.reset_optimizer:
            self._trainer.reset_optimizer()
        trained = [group for group in complete if group.is_trained_on]
        advantages = self._advantages(trained)
        own, stale = self._items(trained, advantages, iteration)
        others = self._other_items(growing, iteration)
        measured = _Measured()
        ranks, mini_steps = self._trainer.ranks, self._settings.mini_steps
        problems = [len(range(step, len(trained), mini_steps)) for step in range(mini_steps)]
        signal = ranks.sum([sum(item.signal for item in own if item.step == step) for step in range(mini_steps)])
        first = next((step for step in range(mini_steps) if signal[step]), mini_steps)
        unseen = [item for item in own if item.fresh and not (item.step == first and self._counts(item, fresh=True))]
        self._references(unseen + others, measured)
        for step in range(first, mini_steps):
            chosen = [item for item in own if item.step == step and self._counts(item, fresh=step == first)]
            if ranks.sum([len(chosen)])[0]:
                self._step(step, chosen, problems[step], iteration, measured, fresh=step == first)
        references: dict[SegmentKey, LogProbs] = {}
        for share in ranks.exchange({i.fresh: i.found for i in own + others if i.fresh and i.found is not None}):
            references |= share
        return Learned(references, advantages, stale, self._figures(trained, own + others, measured, iteration))

    def _counts(self, item: _Item, *, fresh: bool) -> bool:
        """Whether a response has a gradient, or may have one: `fresh` before the first step, where its group must have a
        signal. Of an objective that pulls nothing back only those with a gain do."""
        if not self._objective.pulls_back:
            return abs(item.gain) > NO_GAIN
        return item.signal or not fresh

    # -- what to train on ---------------------------------------------------------------------------------------

    def _advantages(self, groups: Sequence[Group]) -> dict[tuple[GroupKey, int], float]:
        """What the objective gives each judged response, over all groups."""
        members = [(number, group.key, one) for number, group in enumerate(groups) for one in group.judged]
        if not members:
            return {}
        owners = torch.tensor([number for number, _, _ in members])
        rewards = torch.tensor([one.reward for _, _, one in members], dtype=torch.float64)
        gains = self._objective.gains(rewards, _correct(groups).double(), owners, len(groups)).tolist()
        return {(key, one.sample_index): gain for (_, key, one), gain in zip(members, gains, strict=True)}

    def _items(
        self, groups: Sequence[Group], advantages: dict[tuple[GroupKey, int], float], iteration: int
    ) -> tuple[list[_Item], frozenset[tuple[GroupKey, int]]]:
        """This rank's responses, and which of all ranks' have nothing left to train on."""
        settings, ranks = self._settings, self._trainer.ranks
        items, stale = [], set()
        for place, group in enumerate(groups):
            own: list[_Item] = []
            for trajectory in group.judged:
                first = trajectory.trained_from(settings.loss_on, iteration - settings.max_staleness)
                if first == len(trajectory.segments):
                    stale.add((group.key, trajectory.sample_index))
                    continue
                item = _item(group.key, trajectory, first, iteration)
                item.gain = advantages[group.key, trajectory.sample_index]
                item.size, item.step = len(group.judged), step_of(place, settings.mini_steps)
                own.append(item)
            # A response that older weights began may be pulled back to its reference, gain or no gain.
            pulled = self._objective.pulls_back and any(len(item.stored) for item in own)
            signal = pulled or any(abs(item.gain) > NO_GAIN for item in own)
            for item in own:
                item.signal = signal
            if rank_of(place, settings.mini_steps, ranks.size) == ranks.rank:
                items += own
        return items, frozenset(stale)

    def _other_items(self, growing: Sequence[Group], iteration: int) -> list[_Item]:
        """This rank's share of the fresh segments of groups that go on: what a later step looks at needs its reference
        now."""
        found = [
            _item(group.key, one, len(one.segments) - 1, iteration)
            for group in growing
            for one in group.trajectories
            if one.segments
            and one.segments[-1].iteration == iteration
            and one.segments[-1].may_be_in_loss(self._settings.loss_on)
        ]
        ranks = self._trainer.ranks
        return found[ranks.rank :: ranks.size]

    # -- passes -------------------------------------------------------------------------------------------------

    def _batches(self, items: Sequence[_Item]) -> list[list[_Item]]:
        """Micro-batches of similar lengths. Every rank gets equally many (empty ones at the end): ZeRO-2 and 3
        communicate in every pass."""
        lengths = np.array([item.length for item in items], dtype=np.int64)
        chosen = least_padding(lengths, self._settings.micro_batch_tokens) if items else []
        found = [[items[place] for place in group] for group in chosen]
        (most,) = self._trainer.ranks.max([len(found)])
        return found + [[] for _ in range(int(most) - len(found))]

    def _forward(self, batch: Sequence[_Item], measured: _Measured | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [t] and rows [t] of the batch's response tokens. An empty batch runs one token through the model and
        gives none of it away."""
        if not batch:
            one = np.zeros(1, dtype=np.int64)
            scores = self._trainer.scores(collate([one], [one], self._pad_id), self._settings.temperature)
            return scores.log_probs * 0.0, torch.zeros(1, dtype=torch.int64, device=scores.log_probs.device)
        tokens = collate([item.context_ids for item in batch], [item.response_ids for item in batch], self._pad_id)
        scores = self._trainer.scores(tokens, self._settings.temperature, entropy=measured is not None)
        if measured is not None:
            measured.entropy += float(scores.entropies.double().sum())
            measured.entropy_tokens += tokens.tokens
        return scores.log_probs, tokens.rows.to(scores.log_probs.device)

    def _references(self, items: Sequence[_Item], measured: _Measured) -> None:
        for batch in self._batches(items):
            with torch.no_grad():
                log_probs, _ = self._forward(batch, measured)
            measured.scored += sum(item.length for item in batch)
            _keep(batch, log_probs)

    def _step(
        self, step: int, items: Sequence[_Item], problems: int, iteration: int, measured: _Measured, *, fresh: bool
    ) -> None:
        """One optimizer step on groups of a mini-step; `problems` counts all of its problems, on all ranks. `fresh`: the
        weights are still those of this iteration's rollouts."""
        for batch in self._batches(items):
            log_probs, rows = self._forward(batch, measured if fresh else None)
            if fresh:
                _keep(batch, log_probs)
            loss = self._loss(batch, log_probs, rows, problems, measured)
            measured.loss += float(loss.detach())
            measured.trained += sum(item.length for item in batch)
            self._trainer.backward(loss)
        try:
            measured.norms.append(self._trainer.step(learning_rate(iteration, self._settings)))
        except NotFinite as error:
            raise UserError(
                f"rl: {error} in iteration {iteration}, mini-step {step + 1} of {self._settings.mini_steps}: lower "
                f"rl.learning_rate ({self._settings.learning_rate:g})"
            ) from error

    def _loss(
        self, batch: Sequence[_Item], log_probs: torch.Tensor, rows: torch.Tensor, problems: int, measured: _Measured
    ) -> torch.Tensor:
        if not batch:
            return log_probs.sum()
        reference = torch.from_numpy(np.concatenate([item.reference for item in batch])).to(log_probs)
        measured.ratios.append(mirror_descent.log_ratios(log_probs.detach(), reference, rows, len(batch)).cpu())
        gains = log_probs.new_tensor([item.gain for item in batch])
        sizes = log_probs.new_tensor([item.size for item in batch])
        return self._objective.loss(log_probs, reference, rows, gains, sizes, problems)

    # -- what came of it ----------------------------------------------------------------------------------------

    def _figures(
        self, trained: Sequence[Group], items: Sequence[_Item], measured: _Measured, iteration: int
    ) -> dict[str, float]:
        ranks, steps = self._trainer.ranks, max(1, len(measured.norms))
        gaps = [np.abs(item.behaviour - item.found) for item in items if item.found is not None]
        loss, entropy, entropy_tokens, scored, trained_tokens, gap, gap_tokens = ranks.sum(
            [
                measured.loss,
                measured.entropy,
                measured.entropy_tokens,
                measured.scored,
                measured.trained,
                sum(float(own.sum()) for own in gaps),
                sum(len(own) for own in gaps),
            ]
        )
        (gap_max,) = ranks.max([max((float(own.max()) for own in gaps), default=0.0)])
        ratios = ranks.gather(torch.cat([torch.zeros(0), *measured.ratios]))
        return {
            "loss": loss / steps,
            "entropy": entropy / max(1.0, entropy_tokens),
            **_signal(trained),
            "learning_rate": learning_rate(iteration, self._settings),
            "grad_norm": sum(measured.norms) / steps,
            "grad_norm_max": max(measured.norms, default=0.0),
            "steps": float(len(measured.norms)),
            "tokens_scored": scored,
            "tokens_trained": trained_tokens,
            "gap_mean": gap / max(1.0, gap_tokens),
            "gap_max": gap_max,
            **(mirror_descent.ratio_figures(torch.cat(ratios)) if ratios is not None else {}),
        }


def _item(group: GroupKey, trajectory: Trajectory, first: int, iteration: int) -> _Item:
    """The tokens of a trajectory from segment `first` on; what came before is context."""
    segments = trajectory.segments
    last = segments[-1]
    is_fresh = last.iteration == iteration
    stored = [one.reference_log_probs for one in segments[first : -1 if is_fresh else None]]
    assert all(one is not None for one in stored), "what a loss may look at was scored in the iteration that sampled it"
    return _Item(
        context_ids=segments[first].context_ids,
        response_ids=np.concatenate([one.response_ids for one in segments[first:]]),
        stored=np.concatenate([np.zeros(0, np.float32), *(one for one in stored if one is not None)]),
        behaviour=last.behaviour_log_probs if is_fresh else np.zeros(0, np.float32),
        fresh=SegmentKey(group, trajectory.sample_index, len(segments) - 1) if is_fresh else None,
    )


def _keep(batch: Sequence[_Item], log_probs: torch.Tensor) -> None:
    """Take the references of the batch's fresh segments from log-probs [t] of all its tokens."""
    values = log_probs.detach().float().cpu().numpy()
    ends = np.cumsum([len(item.response_ids) for item in batch])
    for item, own in zip(batch, np.split(values, ends[:-1]) if len(batch) else [], strict=True):
        item.found = own[len(item.stored) :] if item.fresh else None


def _correct(groups: Iterable[Group]) -> torch.Tensor:
    """[n] of 0 and 1: which judged responses are right, before any shaping."""
    return torch.tensor(
        [
            float(one.verdict is not None and one.verdict.status is Status.CORRECT)
            for group in groups
            for one in group.judged
        ]
    )


def _signal(groups: Sequence[Group]) -> dict[str, float]:
    """Shares of groups that are all right, all wrong, either."""
    owners = torch.tensor([number for number, group in enumerate(groups) for _ in group.judged], dtype=torch.int64)
    return mirror_descent.signal_figures(_correct(groups), owners, len(groups))
