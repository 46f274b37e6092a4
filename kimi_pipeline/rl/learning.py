"""The training phase of an iteration: reference log-probs, then the mini-steps on equation 3.

Belongs here: which responses go into which step, forward and backward passes, what is measured. Does not belong here:
the loss as a formula (`mirror_descent.py`), sampling and rewards (`rollout.py`).

Each group is in exactly one mini-step, chosen by its place in the iteration, so that any number of ranks takes the same
steps. Until the first step is taken the weights are those that sampled: every log-ratio is 0, and a group without signal
(all rewards equal, hence every advantage 0) has no gradient at all. So the mini-steps before the first one with a signal
are left out, and that one needs neither a reference pass of its own nor its silent groups. This is exact, and more than
thrift: rounding differences of two forward passes are a gradient too, which a fresh Adam would scale up to a full step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.profile import Rl
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rl import mirror_descent
from kimi_pipeline.rl.rollout import Group
from kimi_pipeline.rl.segments import LogProbs, Segment
from kimi_pipeline.training.engine import NotFinite, Trainer
from kimi_pipeline.training.packing import by_budget, collate

NO_GAIN = 1e-9  # an advantage below it is a rounding error of the baseline


def step_of(place: int, mini_steps: int) -> int:
    """The mini-step of the problem at `place` of the iteration, whatever the number of ranks."""
    return place % mini_steps


def rank_of(place: int, mini_steps: int, ranks: int) -> int:
    """The rank that samples and trains on the problem at `place`: every mini-step is spread over all ranks."""
    return (place // mini_steps) % ranks


@dataclass
class _Item:
    """A response to train on. `size` is the k of its group, `signal` whether its group has any."""

    segment: Segment
    advantage: float
    size: int
    signal: bool
    step: int
    reference: LogProbs | None = None


@dataclass
class _Measured:
    """What the passes of this rank have seen; `ratios` holds those of responses that were trained on."""

    loss: float = 0.0
    ratios: list[torch.Tensor] = field(default_factory=list)
    entropy: float = 0.0
    entropy_tokens: int = 0
    norms: list[float] = field(default_factory=list)


def learning_rate(iteration: int, settings: Rl) -> float:
    """The rate of an iteration (1, 2, ...): it rises over the first ones, then stays. A first Adam step moves every weight
    by the whole rate, whichever way its gradient points: at full rate the first iterations undo some of the SFT."""
    return settings.learning_rate * min(1.0, iteration / (settings.warm_up + 1))


class Learner:
    """Takes the mini-steps. All ranks call it with their own groups."""

    def __init__(self, trainer: Trainer, settings: Rl, pad_id: int) -> None:
        self._trainer = trainer
        self._settings = settings
        self._pad_id = pad_id

    def learn(self, groups: Sequence[Group], iteration: int) -> tuple[list[Group], dict[str, float]]:
        """Train on this rank's groups; returns them with reference log-probs, and figures of all ranks together.

        Raises UserError where a gradient is no finite number, naming the mini-step; the weights are those before it.
        """
        if self._settings.reset_optimizer:
            self._trainer.reset_optimizer()
        trained = [group for group in groups if group.is_trained_on]
        items = self._items(trained)
        measured = _Measured()
        steps, settings = range(self._settings.mini_steps), self._settings
        problems = self._trainer.ranks.sum(
            [len({i.segment.problem_id for i in items if i.step == step}) for step in steps]
        )
        signal = self._trainer.ranks.sum([sum(item.signal for item in items if item.step == step) for step in steps])
        first = next((step for step in steps if signal[step]), settings.mini_steps)
        self._references([item for item in items if item.step != first or not item.signal], measured)
        for step in range(first, settings.mini_steps):
            if problems[step]:
                fresh = step == first
                chosen = [item for item in items if item.step == step and (item.signal or not fresh)]
                self._step(step, chosen, int(problems[step]), iteration, measured, fresh=fresh)
        return self._with_references(groups, items), self._figures(groups, items, measured, iteration)

    # -- what to train on ---------------------------------------------------------------------------------------

    def _items(self, groups: Sequence[Group]) -> list[_Item]:
        rewards = [member.reward for group in groups for member in group.judged]
        owners = [number for number, group in enumerate(groups) for _ in group.judged]
        if not rewards:
            return []
        index = torch.tensor(owners)
        values = torch.tensor(rewards, dtype=torch.float64)
        settings = self._settings
        gains = mirror_descent.advantages(values, index, len(groups), settings.tau, settings.baseline).tolist()
        items = []
        for number, group in enumerate(groups):
            own = [gain for gain, owner in zip(gains, owners, strict=True) if owner == number]
            step, signal = step_of(group.place, settings.mini_steps), any(abs(gain) > NO_GAIN for gain in own)
            for member, gain in zip(group.judged, own, strict=True):
                assert member.segment is not None
                items.append(_Item(member.segment, gain, len(own), signal, step))
        return items

    # -- passes -------------------------------------------------------------------------------------------------

    def _batches(self, items: Sequence[_Item]) -> list[list[_Item]]:
        """Micro-batches of similar lengths. Every rank gets equally many (empty ones at the end): ZeRO-2 and 3
        communicate in every pass."""
        lengths = np.array([item.segment.length for item in items], dtype=np.int64)
        chosen = by_budget(lengths, self._settings.micro_batch_tokens) if items else []
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
        tokens = collate(
            [item.segment.context_ids for item in batch], [item.segment.response_ids for item in batch], self._pad_id
        )
        scores = self._trainer.scores(tokens, self._settings.temperature, entropy=measured is not None)
        if measured is not None:
            measured.entropy += float(scores.entropies.double().sum())
            measured.entropy_tokens += tokens.tokens
        return scores.log_probs, tokens.rows.to(scores.log_probs.device)

    def _references(self, items: Sequence[_Item], measured: _Measured) -> None:
        for batch in self._batches(items):
            with torch.no_grad():
                log_probs, _ = self._forward(batch, measured)
            self._keep(batch, log_probs)

    @staticmethod
    def _keep(batch: Sequence[_Item], log_probs: torch.Tensor) -> None:
        values = log_probs.detach().float().cpu().numpy()
        ends = np.cumsum([item.segment.tokens for item in batch])
        for item, own in zip(batch, np.split(values, ends[:-1]) if len(batch) else [], strict=True):
            item.reference = own

    def _step(
        self, step: int, items: Sequence[_Item], problems: int, iteration: int, measured: _Measured, *, fresh: bool
    ) -> None:
        """One optimizer step on groups of a mini-step; `problems` counts all of its problems, on all ranks. `fresh`: the
        weights are still those that sampled."""
        for batch in self._batches(items):
            log_probs, rows = self._forward(batch, measured if fresh else None)
            if fresh:
                self._keep(batch, log_probs)
            loss = self._loss(batch, log_probs, rows, problems, measured)
            measured.loss += float(loss.detach())
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
        place = log_probs.device
        reference = torch.from_numpy(np.concatenate([item.reference for item in batch if item.reference is not None]))
        ratios = mirror_descent.log_ratios(log_probs, reference.to(place), rows, len(batch))
        measured.ratios.append(ratios.detach().cpu())
        gains = torch.tensor([item.advantage for item in batch], dtype=ratios.dtype, device=place)
        sizes = torch.tensor([item.size for item in batch], dtype=ratios.dtype, device=place)
        return mirror_descent.surrogate_loss(ratios, gains, sizes, problems, self._settings.tau)

    # -- what came of it ----------------------------------------------------------------------------------------

    @staticmethod
    def _with_references(groups: Sequence[Group], items: Sequence[_Item]) -> list[Group]:
        found: dict[str, dict[int, LogProbs]] = {group.prompt.problem_id: {} for group in groups}
        for item in items:
            if item.reference is not None:
                found[item.segment.problem_id][item.segment.sample_index] = item.reference
        return [group.with_references(found[group.prompt.problem_id]) for group in groups]

    def _figures(
        self, groups: Sequence[Group], items: Sequence[_Item], measured: _Measured, iteration: int
    ) -> dict[str, float]:
        ranks, steps = self._trainer.ranks, max(1, len(measured.norms))
        trained = [group for group in groups if group.is_trained_on]
        gaps = [
            np.abs(item.segment.behaviour_log_probs - item.reference) for item in items if item.reference is not None
        ]
        loss, entropy, entropy_tokens, gap, gap_tokens, silent, count = ranks.sum(
            [
                measured.loss,
                measured.entropy,
                measured.entropy_tokens,
                sum(float(own.sum()) for own in gaps),
                sum(len(own) for own in gaps),
                _silent(trained),
                len(trained),
            ]
        )
        (gap_max,) = ranks.max([max((float(own.max()) for own in gaps), default=0.0)])
        ratios = ranks.gather(torch.cat([torch.zeros(0), *measured.ratios]))
        return {
            "loss": loss / steps,
            "entropy": entropy / max(1.0, entropy_tokens),
            "without_signal": silent / max(1.0, count),
            "learning_rate": learning_rate(iteration, self._settings),
            "grad_norm": sum(measured.norms) / steps,
            "grad_norm_max": max(measured.norms, default=0.0),
            "gap_mean": gap / max(1.0, gap_tokens),
            "gap_max": gap_max,
            **(mirror_descent.ratio_figures(torch.cat(ratios)) if ratios is not None else {}),
        }


def _silent(groups: Sequence[Group]) -> int:
    """How many of the groups are all right or all wrong."""
    if not groups:
        return 0
    right = [float(member.verdict.status is Status.CORRECT) for group in groups for member in group.judged]
    owners = [number for number, group in enumerate(groups) for _ in group.judged]
    return int(mirror_descent.without_signal(torch.tensor(right), torch.tensor(owners), len(groups)).sum())
