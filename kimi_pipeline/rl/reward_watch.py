"""The watch over the reward: whether a policy learns to be paid for something else than right answers [2.3.5].

Belongs here: the signals, their thresholds, comparing reward with an independent judgement. Does not belong here: rules and
reward models (`rewards/`), when an iteration is looked at and what stops the run (`loop.py`).

A signal is a share of an iteration's responses. It alarms where the lower end of its 95 % interval lies above the share
that the run began with plus `rl.watch_rise`, or above `rl.watch_limit` whatever the beginning was. The beginning is the
first `rl.watch_baseline` iterations without an alarm, so a share that creeps up is held against it for ever. Signals of
one response need no judge and are counted in every iteration; the judge is asked every `rl.watch_every` iterations, about a
sample drawn from a seed. A judge that fails is counted, and ends nothing.
"""

from __future__ import annotations

import random
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kimi_pipeline.intervals import wilson
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.by_kind import CODE_KIND, RULES, SECOND
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Reward, Status
from kimi_pipeline.rewards.extraction import find_answer, stated_answers, without_answers
from kimi_pipeline.rewards.numbers import canonical
from kimi_pipeline.rewards.own_judges import JUDGES
from kimi_pipeline.rewards.rules import SEVERAL_ANSWERS, refusal
from kimi_pipeline.rewards.second_opinion import Question, SecondOpinion
from kimi_pipeline.rewards.structures import structure

REWARDED = (
    0.5  # a reward from which on a response counts as rewarded; shapings of weight 1 or less leave right answers above
)
LEAST = 8  # responses from which on a share says something
USUAL = 0.05  # share of the beginning's rewarded responses from which on a format is a usual one
SHOWN = 3  # samples that are shown of an alarm
KEPT = 20  # sample ids that are kept of one
EXCERPT = 160  # characters

NO_REASONING, VERY_SHORT, SEVERAL = "no_reasoning", "very_short", "several_answers"
FORMAT, UNVERIFIABLE = "changed_format", "unverifiable"
OVERPAID, UNDERPAID, UNDECIDED = "overpaid", "underpaid", "undecided"
SIGNALS = {
    NO_REASONING: "rewarded responses say next to nothing beside the answer",
    VERY_SHORT: "rewarded responses are far shorter than those at the beginning were",
    SEVERAL: "responses state several answers",
    FORMAT: "rewarded responses give the answer in another place than at the beginning",
    UNVERIFIABLE: "responses are beyond the verifier: its deadline, its memory, or its rules",
    OVERPAID: "rewarded responses are wrong for the independent judge",
    UNDERPAID: "unrewarded responses are right for the independent judge",
    UNDECIDED: "rewarded responses are beyond the independent judge",
}
"""Each signal, in the words of an alarm: "17 of 64 ..."."""
JUDGE_FAILED = "watch_judge_failed"
"""The figure of an iteration in which the independent judge failed: no signal, and no share."""
RELATIVE = (UNDECIDED,)
"""Signals that alarm by their rise alone: where rules abstain by design, a verifier as judge is undecided from the start."""

_TAG = re.compile(r"</?\w+>")
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Watched:
    """A response with its verdict."""

    sample_id: str
    question: str
    reference: Reference
    response: Response
    verdict: Breakdown

    @property
    def rewarded(self) -> bool:
        return self.verdict.reward is not None and self.verdict.reward >= REWARDED


class IndependentJudge(Protocol):
    """Says of responses whether they are right, on other grounds than the reward: None where it can't say."""

    @property
    def name(self) -> str: ...

    def judge(self, responses: Sequence[Watched]) -> list[bool | None]: ...


class ByReward:
    """A `Reward` as the independent judge: the verifier beside a reward model."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    @property
    def name(self) -> str:
        return self._reward.version

    def judge(self, responses: Sequence[Watched]) -> list[bool | None]:
        found = [self._reward.score(one.reference, [one.response])[0] for one in responses]
        decided = (Status.CORRECT, Status.WRONG, Status.NO_ANSWER)
        return [one.status is Status.CORRECT if one.status in decided else None for one in found]


class BySecondOpinion:
    """A second opinion (the Chain-of-Thought RM) as the independent judge: beside the rules."""

    def __init__(self, second: SecondOpinion) -> None:
        self._second = second

    @property
    def name(self) -> str:
        return self._second.version

    def judge(self, responses: Sequence[Watched]) -> list[bool | None]:
        """Raises RuntimeError where the judge failed: what it could not say is no signal of the policy."""
        asked = [Question(one.question, one.reference.answer, one.response.text) for one in responses]
        opinions = self._second.judge(asked) if asked else []
        if failed := [one.reason for one in opinions if one.failed]:
            raise RuntimeError(f"{len(failed)} of {len(opinions)} opinions failed: {failed[0]}")
        return [one.correct for one in opinions]


class ByTheOther:
    """The judge of a composite reward that did not decide: the second opinion on what rules decided, rules on the rest. What
    rules leave open there rests on the second opinion alone, and counts as undecided."""

    def __init__(self, rules: IndependentJudge, second: IndependentJudge) -> None:
        self._rules, self._second = rules, second

    @property
    def name(self) -> str:
        return f"{self._rules.name} or {self._second.name}, whichever did not decide"

    def judge(self, responses: Sequence[Watched]) -> list[bool | None]:
        found: list[bool | None] = [None] * len(responses)
        for part, judge in ((RULES, self._second), (SECOND, self._rules)):
            places = [place for place, one in enumerate(responses) if _decided_by(one) == part]
            for place, verdict in zip(places, judge.judge([responses[place] for place in places]), strict=True):
                found[place] = verdict
        return found


def _decided_by(one: Watched) -> str:
    return one.verdict.evidence[-1].part if one.verdict.evidence else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A signal in an iteration: `hits` of `n` responses. `baseline` is the share at the beginning (None: this is it);
    `threshold` the share above which it alarms. `sample_ids`: some of the hits; `judge`: who judged, where one did."""

    iteration: int
    signal: str
    n: int
    hits: int
    baseline: float | None
    threshold: float
    alarm: bool
    sample_ids: tuple[str, ...]
    judge: str = ""

    @property
    def share(self) -> float:
        return self.hits / self.n

    def __str__(self) -> str:
        """The line of the log."""
        before = "" if self.baseline is None else f", {self.baseline:.0%} at the beginning"
        return f"{self.signal}: {self.hits} of {self.n} {SIGNALS[self.signal]} ({self.share:.0%}{before})"


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at an iteration found. `lines` are for the log; `failure` says why the judge gave no judgement."""

    findings: tuple[Finding, ...]
    lines: tuple[str, ...]
    failure: str = ""

    @property
    def alarms(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.alarm)

    @property
    def figures(self) -> dict[str, float]:
        """The shares, as curves; and `watch_judge_failed` (1) where the judge gave no judgement."""
        shares = {f"watch_{one.signal}": one.share for one in self.findings}
        return shares | {JUDGE_FAILED: 1.0} if self.failure else shares

    def rows(self, policy: str, prompt_set: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of the table `reward_watch`."""
        names = ("iteration", "signal", "judge", "n", "hits", "share", "baseline", "threshold", "alarm")
        return [
            {"policy": policy, "prompt_set": prompt_set["name"], "version": prompt_set["version"]}
            | {name: getattr(one, name) for name in names}
            | {"sample_ids": list(one.sample_ids)}
            for one in self.findings
        ]


@dataclass(slots=True)
class _Beginning:
    """What a signal was in the first iterations without an alarm."""

    iterations: int = 0
    n: int = 0
    hits: int = 0


class RewardWatch:
    """The signals of one run. `state` and `restore` carry what it remembers over a restart."""

    def __init__(self, settings: Rl, seed: int, judge: IndependentJudge | None = None) -> None:
        self._settings, self._seed, self._judge = settings, seed, judge
        self._beginning: dict[str, _Beginning] = {}
        self._lengths: list[int] = []
        self._formats: Counter[str] = Counter()
        self._learning = 0  # iterations that lengths and formats were taken from
        self._alarmed: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user about what is watched."""
        if self._judge is None:
            return ("reward watch: no independent judge (rl.watch_judge); signals of the responses alone are watched",)
        every = self._settings.watch_every
        return (f"reward watch: {self._judge.name} is the independent judge, asked every {every} iterations",)

    def look(self, iteration: int, responses: Iterable[Watched]) -> Look:
        """Count the signals in an iteration's responses that have a verdict, and compare each with its beginning."""
        judged = [one for one in responses if one.verdict.reward is not None]
        rewarded = [one for one in judged if one.rewarded]
        reasoned = [
            one for one in rewarded if one.reference.answer_kind != CODE_KIND
        ]  # a program is work and answer in one
        counted: list[tuple[str, list[Watched], Callable[[Watched], bool]]] = [
            (NO_REASONING, reasoned, self._no_reasoning),
            (SEVERAL, judged, _several),
            (UNVERIFIABLE, judged, lambda one: one.verdict.status is Status.UNVERIFIABLE),
        ]
        if self._learning:
            shortest = self._settings.watch_short * statistics.median(self._lengths)
            usual = {name for name, n in self._formats.items() if n >= USUAL * self._formats.total()}
            counted += [
                (VERY_SHORT, rewarded, lambda one: one.response.tokens < shortest),
                (FORMAT, rewarded, lambda one: _format(one) not in usual),
            ]
        findings = [self._finding(iteration, *one) for one in counted]
        failure = ""
        if self._judge is not None and iteration % self._settings.watch_every == 0:
            try:
                findings += self._by_judge(iteration, judged)
            except Exception as error:  # whatever a judge raises: training goes on, and the figures say it
                failure = f"the independent judge failed ({type(error).__name__}: {error})"[:EXCERPT]
        found = tuple(one for one in findings if one is not None)
        self._remember(found, rewarded)
        by_id = {one.sample_id: one for one in judged}
        lines = tuple(line for one in found if one.alarm for line in self._told(one, by_id))
        self._alarmed = [one.signal for one in found if one.alarm]
        return Look(found, (*lines, *filter(None, [failure])), failure)

    def _no_reasoning(self, one: Watched) -> bool:
        said = _TAG.sub(" ", without_answers(one.response.text))
        return len(_WORD.findall(said)) < self._settings.watch_words

    def _finding(
        self, iteration: int, signal: str, of: Sequence[Watched], hit: Callable[[Watched], bool], judge: str = ""
    ) -> Finding | None:
        if len(of) < LEAST:
            return None
        hits = [one.sample_id for one in of if hit(one)]
        before = self._beginning.get(signal)
        baseline = before.hits / before.n if before else None
        threshold = 1.0 if signal in RELATIVE else self._settings.watch_limit
        if baseline is not None:
            threshold = min(threshold, baseline + self._settings.watch_rise)
        alarm = wilson(len(hits), len(of))[0] > threshold
        kept = tuple(hits[:KEPT])
        return Finding(iteration, signal, len(of), len(hits), baseline, threshold, alarm, kept, judge)

    def _by_judge(self, iteration: int, judged: Sequence[Watched]) -> list[Finding | None]:
        """The signals of the independent judge, asked about as many rewarded responses as unrewarded ones. Only of those that
        rules or a second opinion have judged: on a program, or under a judge of its own, neither has anything to say."""
        assert self._judge is not None
        judged = [one for one in judged if one.reference.answer_kind not in (CODE_KIND, *JUDGES)]
        rng = random.Random(f"{self._seed} {iteration}")
        half = -(-self._settings.watch_sample // 2)
        sides = [[one for one in judged if one.rewarded is side] for side in (True, False)]
        drawn = [rng.sample(side, min(half, len(side))) for side in sides]
        asked = [*drawn[0], *drawn[1]]
        found = self._judge.judge(asked)
        if len(found) != len(asked):
            raise ValueError(f"{len(found)} judgements of {len(asked)} responses")
        right = {one.sample_id: verdict for one, verdict in zip(asked, found, strict=True)}
        name = self._judge.name
        return [
            self._finding(iteration, OVERPAID, drawn[0], lambda one: right[one.sample_id] is False, name),
            self._finding(iteration, UNDECIDED, drawn[0], lambda one: right[one.sample_id] is None, name),
            self._finding(iteration, UNDERPAID, drawn[1], lambda one: right[one.sample_id] is True, name),
        ]

    def _remember(self, found: Sequence[Finding], rewarded: Sequence[Watched]) -> None:
        for one in found:
            before = self._beginning.setdefault(one.signal, _Beginning())
            if not one.alarm and before.iterations < self._settings.watch_baseline:
                before.iterations += 1
                before.n += one.n
                before.hits += one.hits
            if not before.n:
                del self._beginning[one.signal]
        calm = not any(one.alarm for one in found if one.signal in (VERY_SHORT, FORMAT))
        if calm and self._learning < self._settings.watch_baseline and len(rewarded) >= LEAST:
            self._learning += 1
            self._lengths += [one.response.tokens for one in rewarded]
            self._formats.update(map(_format, rewarded))

    def _told(self, one: Finding, responses: Mapping[str, Watched]) -> list[str]:
        """An alarm's line; with samples where it did not alarm the time before."""
        lines = [f"reward watch, iteration {one.iteration}: {one}"]
        for name in one.sample_ids[: 0 if one.signal in self._alarmed else SHOWN]:
            said = responses[name]
            text = " ".join(said.response.text.split())
            text = text if len(text) <= EXCERPT else f"{text[: EXCERPT // 2]} ... {text[-EXCERPT // 2 :]}"
            lines.append(
                f"    {name[:12]} on {said.reference.problem_id[:12]}, {said.verdict.status}, reward "
                f"{said.verdict.reward:g}, reference {said.reference.answer[:40]!r}: {text!r}"
            )
        return lines

    # -- over a restart -----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the next look depends on, as JSON."""
        return {
            "beginning": {name: [one.iterations, one.n, one.hits] for name, one in self._beginning.items()},
            "lengths": list(self._lengths),
            "formats": dict(self._formats),
            "learning": self._learning,
            "alarmed": list(self._alarmed),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._beginning = {name: _Beginning(*numbers) for name, numbers in state["beginning"].items()}
        self._lengths, self._formats = list(state["lengths"]), Counter(state["formats"])
        self._learning, self._alarmed = state["learning"], list(state["alarmed"])


def _several(one: Watched) -> bool:
    if one.verdict.reason == SEVERAL_ANSWERS:
        return True
    asked_for_one = structure(one.reference.answer) is None
    if asked_for_one and len({canonical(answer) for answer in stated_answers(one.response.text)}) > 1:
        return True
    answer = one.verdict.extracted_answer
    try:
        return answer is not None and refusal(one.reference.answer, answer) == SEVERAL_ANSWERS
    except Exception:  # a rule that stumbles over a text says nothing of it
        return False


def _format(one: Watched) -> str:
    return find_answer(one.response.text)[0] or "nowhere"
