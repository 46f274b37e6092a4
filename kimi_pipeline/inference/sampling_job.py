"""The sampling job: `python -m kimi_pipeline.inference.sampling_job SPEC` draws what is missing and commits it.

Belongs here: the job around plans, carrier, verdicts and commits. Does not belong here: any of those parts. With the
endpoint carrier neither torch nor vLLM is imported.

The spec: `{"home", "profile", "run_id", "passes": [{"purpose", "checkpoint": {"digest", "folder"}, "template",
"format", "temperature", "top_p", "max_tokens", "samples", "stop_at_first_correct", "stopping", "constrained",
"wave", "seed", "problems"}], "bounds": {"tokens", "until", "stop_file"}}`; `drawing.py` writes it. No engine starts where
nothing is missing.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from kimi_pipeline import locks
from kimi_pipeline.digests import digest
from kimi_pipeline.home import Home
from kimi_pipeline.inference.adaptive import StoppingRule
from kimi_pipeline.inference.budget import Bounds
from kimi_pipeline.inference.carriers import Carriers
from kimi_pipeline.inference.drawing import Counts, as_result
from kimi_pipeline.inference.plans import Ask, Plan, read_problems
from kimi_pipeline.inference.request import Carrier, SampleRequest, Sampling, error_code
from kimi_pipeline.inference.store import Committer, SampleStore, judge, sample_row
from kimi_pipeline.jobs import Report, job_main
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles.profile import Profile
from kimi_pipeline.rewards.contract import Reward, Status
from kimi_pipeline.rewards.serving import reward_for


@dataclass(frozen=True)
class Pass:
    """A pass of the spec: what is asked, of which weights, about which problems."""

    ask: Ask
    folder: Path | None
    problems: Path

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Pass:
        checkpoint = values["checkpoint"]
        ask = Ask(
            purpose=values["purpose"],
            checkpoint=checkpoint["digest"],
            template=values["template"],
            format=values["format"],
            sampling=Sampling(values["temperature"], values["max_tokens"], values.get("top_p", 1.0)),
            samples=values["samples"],
            run_seed=values["seed"],
            stop_at_first_correct=values.get("stop_at_first_correct", False),
            constrained=values.get("constrained", False),
            wave=values.get("wave"),
            stopping=StoppingRule.parse(rule) if (rule := values.get("stopping")) else None,
        )
        folder = checkpoint.get("folder")
        return cls(ask, Path(folder) if folder else None, Path(values["problems"]))


@dataclass
class Drawing:
    """The work on all passes: draws what the plans miss and keeps count."""

    plans: Sequence[Plan]
    committer: Committer
    reward: Reward
    report: Report
    bounds: Bounds
    tokens: int = 0
    cost: float = 0.0
    excluded: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def run(self, carrier: Callable[[], Carrier], plans: Sequence[Plan]) -> None:
        """Ask for rounds until no plan of a checkpoint misses a sample, or a bound allows no more; an engine
        starts only where there is something to ask. What a round had no budget left for in its turn comes in the next one,
        which spends what short answers gave back."""
        while True:
            owners: dict[str, tuple[SampleRequest, Plan]] = {}
            requests = self._admitted(((request, plan) for plan in plans for request in plan.next_round()), owners)
            first = next(requests, None)
            if first is None:
                break
            answering = carrier()
            self.started = time.monotonic() if not self.tokens else self.started
            for completion in answering.generate(chain([first], requests)):
                request, plan = owners.pop(completion.request.sample_id)
                self.bounds.tokens.pay(request.sampling.max_tokens, completion.completion_tokens)
                verdict = judge(completion, plan.problems[request.problem_id].reference, self.reward)
                if not completion.retryable and self.committer.add(sample_row(completion, verdict, answering.name)):
                    self.tokens += completion.completion_tokens
                    self.cost += completion.cost
                    self.excluded += verdict.status is Status.INFRASTRUCTURE_ERROR
                plan.record(request, verdict.status, completion.error, completion.retryable)
                self.tell()
        for plan in plans:
            self.failed.update(error_code(error) for error in plan.errors.values())

    def _admitted(
        self, asked: Iterable[tuple[SampleRequest, Plan]], owners: dict[str, tuple[SampleRequest, Plan]]
    ) -> Iterator[SampleRequest]:
        """The requests in their order, for as long as the bounds allow the longest answer; those under way are in `owners`."""
        for request, plan in asked:
            if not self.bounds.admit(request.sampling.max_tokens):
                return
            owners[request.sample_id] = (request, plan)
            yield request

    def tell(self) -> None:
        rate = self.tokens / max(time.monotonic() - self.started, 1e-3)
        done, total = sum(plan.done for plan in self.plans), sum(plan.total for plan in self.plans)
        self.report.progress(done, total, f"samples, {rate:,.0f} tokens/s")


@contextlib.contextmanager
def exclusive(home: Home, passes: Sequence[Pass], report: Report) -> Iterator[None]:
    """One drawing at a time of a purpose and checkpoint on this machine: two runs (of two prompt sets, say) that want
    the same sample draw it once. The kernel frees the locks of a killed process."""
    folder = home.jobs / "locks"
    folder.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        report.info("waiting for another run that draws the same samples")

    keys = sorted({digest([one.ask.purpose, one.ask.checkpoint]) for one in passes})  # one order: no deadlock
    with contextlib.ExitStack() as stack:
        for key in keys:
            stack.enter_context(locks.in_turn(folder / key, waiting))
        yield


def run(spec: dict[str, Any], report: Report) -> dict[str, Any]:
    """Draw the missing samples of all passes; returns `drawing.Counts` as an object."""
    profile = Profile.model_validate(spec["profile"])
    home = Home(Path(spec["home"]))
    passes = [Pass.parse(values) for values in spec["passes"]]
    require_distinct(passes)
    bounds = _bounds(spec.get("bounds") or {})
    with contextlib.closing(Carriers(profile)) as carriers, exclusive(home, passes, report):
        store = SampleStore(Lake(home.lake))
        return as_result(_draw(profile, store, carriers, passes, spec["run_id"], report, bounds))


def _bounds(values: dict[str, Any]) -> Bounds:
    until, stop_file = values.get("until"), values.get("stop_file")
    return Bounds(
        values.get("tokens"),
        datetime.fromtimestamp(until, UTC) if until is not None else None,
        Path(stop_file) if stop_file else None,
    )


def require_distinct(passes: Sequence[Pass]) -> None:
    """Raises ValueError where two passes would ask for the same samples: which of them gets the answer?"""
    asks = Counter(replace(one.ask, samples=0, stop_at_first_correct=False, stopping=None) for one in passes)
    if twice := [ask for ask, times in asks.items() if times > 1]:
        raise ValueError(f"several passes ask for the same samples, merge their problems: {twice[0]}")


def by_folder(planned: Sequence[tuple[Pass, Plan]]) -> dict[Path | None, list[Plan]]:
    """Plans by the weights that answer, in the order of the passes."""
    groups: dict[Path | None, list[Plan]] = {}
    for one, plan in planned:
        groups.setdefault(one.folder, []).append(plan)
    return groups


def _draw(
    profile: Profile,
    store: SampleStore,
    carriers: Carriers,
    passes: Sequence[Pass],
    run_id: str,
    report: Report,
    bounds: Bounds,
) -> Counts:
    started = time.monotonic()
    committed = {
        purpose: store.recorded(purpose, {one.ask.checkpoint for one in passes if one.ask.purpose == purpose})
        for purpose in sorted({one.ask.purpose for one in passes})
    }
    planned = [
        (one, Plan(one.ask, read_problems(one.problems), committed[one.ask.purpose], _imported(store, one.ask)))
        for one in passes
    ]
    plans = [plan for _, plan in planned]
    missing, reused = sum(plan.missing for plan in plans), sum(len(plan.reused) for plan in plans)
    imported = sum(plan.imported for plan in plans)
    purposes = " and ".join(sorted(committed))
    taken = f"{imported} imported, " if imported else ""
    report.info(f"{purposes}: {reused} samples are committed, {taken}at most {missing} to draw")
    if not missing:
        needless = sum(plan.total for plan in plans) - reused - imported
        return Counts(reused=reused, imported=imported, errors={}, not_needed=needless)
    limits = profile.limits
    references = [problem.reference for plan in plans for problem in plan.problems.values()]
    with (
        reward_for(profile, store.lake, references) as reward,
        Committer(
            store.lake,
            run_id=run_id,
            reason=f"samples: {purposes}",
            seconds=limits.commit_seconds,
            samples=limits.commit_samples,
        ) as committer,
    ):
        drawing = Drawing(plans, committer, reward, report, bounds)
        # Passes of one checkpoint draw together: the engine never idles on the last answers of one of them.
        for folder, group in by_folder(planned).items():
            drawing.run(partial(carriers.serving, folder), group)
    drawn, failed, left = committer.committed, sum(drawing.failed.values()), sum(plan.missing for plan in plans)
    return Counts(
        drawn=drawn,
        reused=reused,
        imported=imported,
        excluded=drawing.excluded,
        left=left,
        stopped_by=bounds.stopped_by,
        not_needed=sum(plan.total for plan in plans) - reused - imported - drawn - failed - left,
        committed_tokens=committer.committed_tokens,
        cost=drawing.cost,
        seconds=time.monotonic() - started,
        engine_seconds=carriers.seconds,
        errors=dict(drawing.failed),
    )


def _imported(store: SampleStore, ask: Ask) -> dict[str, list[Status]]:
    """Verdicts of imported samples that count for a pass: answers with reasoning alone can have been made elsewhere."""
    if ask.purpose != "difficulty":
        return {}
    return store.imported(ask.checkpoint, ask.template_id, ask.sampling)


if __name__ == "__main__":
    job_main(run)
