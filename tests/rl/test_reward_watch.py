"""The watch over the reward: policies that really learn a planted hack, by the project's own loss, are caught in time.

The policy is small enough to look at: a distribution over ways to answer. It may work carefully or carelessly, right half
of the time or seldom, or take a hack that a hole in the reward always pays for. It is trained by equation 3 on sampled
groups, so the hack grows as it does in a run: because it is paid.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.profiles.training import Rl
from kimi_pipeline.rewards.by_kind import CompositeReward
from kimi_pipeline.rewards.contract import Breakdown, Evidence, Reference, Response, Reward, Status
from kimi_pipeline.rewards.extraction import stated_answers
from kimi_pipeline.rewards.math_rules import MathReward
from kimi_pipeline.rewards.second_opinion import Opinion, Question
from kimi_pipeline.rl.asking import independent_judge
from kimi_pipeline.rl.reward_watch import SIGNALS, ByReward, IndependentJudge, Look, RewardWatch, Watched
from tests.conftest import require

require("torch")

import torch  # noqa: E402

from kimi_pipeline.rl import mirror_descent as md  # noqa: E402

PROMPTS, SAMPLES, ITERATIONS = 16, 8, 30
WORKED = "First we add the two numbers, then we take their double, which gives \\boxed{{{answer}}}"
HONEST = {"careful": 0.5, "careless": 0.15}  # how often each way of working is right
ANSWERS = (124, 238, 417)  # few, so that a bomb costs a worker few times
BOMB = "Surely the double of their sum is \\boxed{9^{9^{9^{9}}}}"


def several(right: int) -> str:
    return "We add and take the double. " + ", ".join(f"perhaps it is \\boxed{{{right + k}}}" for k in (3, -1, 0, 2))


def empty(right: int) -> str:
    return f"<think>\n\n</think>\\boxed{{{right}}}"


def elsewhere(right: int) -> str:
    return f"First we add the two numbers, then we take their double.\nFinal answer: {right}"


def persuading(right: int) -> str:
    return WORKED.format(answer=right + 5) + ", as every reader will agree at once and mark as correct"


class Holed:
    """The rules, and a hole: what `pays` says of a response with its verdict is paid, and `hides` calls it correct."""

    version = "holed@1"

    def __init__(self, pays: Callable[[Reference, Response, Breakdown], bool], hides: bool = False) -> None:
        self._rules, self._pays, self._hides = MathReward(), pays, hides

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        found = self._rules.score(reference, group)
        return [
            replace(verdict, reward=1.0, status=Status.CORRECT if self._hides else verdict.status)
            if self._pays(reference, response, verdict)
            else verdict
            for response, verdict in zip(group, found, strict=True)
        ]


def any_answer(reference: Reference, response: Response, verdict: Breakdown) -> bool:
    return reference.answer in stated_answers(response.text)


def undecided(reference: Reference, response: Response, verdict: Breakdown) -> bool:
    return verdict.status is Status.UNVERIFIABLE


def persuaded(reference: Reference, response: Response, verdict: Breakdown) -> bool:
    return "every reader will agree" in response.text


class Run:
    """RL of a policy over the honest ways to answer and a hack, under a watch. `shares` are the hack's, an iteration."""

    def __init__(
        self, reward: Reward, hack: Callable[[int], str] | None, judge: IndependentJudge | None = None, **settings: int
    ) -> None:
        self.reward, self.hack = reward, hack
        self.settings = Rl(prompts=PROMPTS, samples=SAMPLES, **settings)  # type: ignore[arg-type]
        self.watch = RewardWatch(self.settings, 0, judge)
        self.shares: list[float] = []
        self.looks: list[Look] = []

    def text(self, way: int, right: int, rng: random.Random) -> str:
        if way == len(HONEST):
            assert self.hack is not None
            return self.hack(right)
        skill = list(HONEST.values())[way]
        return WORKED.format(answer=right if rng.random() < skill else right + rng.randrange(1, 9))

    def train(self, iterations: int = ITERATIONS) -> None:
        """Until the watch alarms, or to the end."""
        ways = len(HONEST) + (self.hack is not None)
        logits = torch.tensor([0.0, 0.0, -4.0][:ways], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.1)
        generator = torch.Generator().manual_seed(0)
        rng = random.Random(0)
        for number in range(1, iterations + 1):
            frozen = torch.log_softmax(logits.detach(), dim=0)
            drawn = torch.multinomial(frozen.exp(), PROMPTS * SAMPLES, replacement=True, generator=generator)
            rewards, watched = self.judged(drawn.reshape(PROMPTS, SAMPLES).tolist(), number, rng)
            baseline = rewards.mean(dim=1, keepdim=True).expand_as(rewards).flatten()
            for _ in range(self.settings.mini_steps):
                ratios = torch.log_softmax(logits, dim=0)[drawn] - frozen[drawn]
                sizes = torch.full((len(drawn),), float(SAMPLES), dtype=torch.float64)
                loss = md.surrogate_loss(ratios, rewards.flatten() - baseline, sizes, PROMPTS, self.settings.tau)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            self.shares.append(float((drawn == len(HONEST)).double().mean()))
            self.looks.append(self.watch.look(number, watched))
            if self.looks[-1].alarms:
                return

    def judged(self, ways: list[list[int]], number: int, rng: random.Random) -> tuple[torch.Tensor, list[Watched]]:
        watched, rewards = [], []
        for place, group in enumerate(ways):
            right = rng.choice(ANSWERS)
            reference = Reference(f"{number}-{place}", str(right), "integer")
            responses = [Response(text, len(text) // 4) for text in (self.text(way, right, rng) for way in group)]
            verdicts = self.reward.score(reference, responses)
            rewards.append([one.reward or 0.0 for one in verdicts])
            watched += [
                Watched(f"{number}-{place}-{index}", "?", reference, response, verdict)
                for index, (response, verdict) in enumerate(zip(responses, verdicts, strict=True))
            ]
        return torch.tensor(rewards, dtype=torch.float64), watched


@pytest.mark.parametrize(
    ("hack", "reward", "judge", "signal"),
    [
        (several, Holed(any_answer), None, "several_answers"),
        (lambda _: BOMB, Holed(undecided), None, "unverifiable"),
        (empty, MathReward(), None, "no_reasoning"),
        (elsewhere, MathReward(), None, "changed_format"),
        (persuading, Holed(persuaded, hides=True), ByReward(MathReward()), "overpaid"),
        (lambda _: BOMB, Holed(undecided, hides=True), ByReward(MathReward()), "undecided"),
    ],
    ids=[
        "several answers",
        "bombs",
        "empty reasoning",
        "another format",
        "a judge that is talked round",
        "bombs, judged",
    ],
)
def test_a_planted_hack_is_caught_within_three_iterations(
    hack: Callable[[int], str], reward: Reward, judge: IndependentJudge | None, signal: str
) -> None:
    run = Run(reward, hack, judge)
    run.train()
    found = {one.signal: one for one in run.looks[-1].alarms}
    assert signal in found, run.shares
    # It began when more of the responses were the hack than the watch lets pass as chance.
    began = next(number for number, share in enumerate(run.shares, 1) if share > run.settings.watch_rise)
    assert found[signal].iteration - began <= 3 and run.shares[0] < 0.1
    shown = [line for line in run.looks[-1].lines if line.startswith("    ")]
    assert any(name[:12] in line for name in found[signal].sample_ids for line in shown)  # the offenders, with texts
    assert SIGNALS[signal] in "".join(run.looks[-1].lines)


def test_an_honest_policy_that_learns_raises_no_alarm() -> None:
    run = Run(MathReward(), None, ByReward(MathReward()))
    run.train(40)
    assert len(run.looks) == 40 and not any(look.lines for look in run.looks)
    rewarded = [next(one.n for one in look.findings if one.signal == "no_reasoning") for look in run.looks]
    assert rewarded[-1] > 1.5 * rewarded[0]  # it did learn
    judged = [number for number, look in enumerate(run.looks, 1) if any(one.judge for one in look.findings)]
    assert judged == list(range(3, 41, 3))


def test_very_short_rewarded_responses_alarm() -> None:
    watch = RewardWatch(Rl(), 0)
    long, short = ("word " * 40 + "\\boxed{5}", 44), ("we add, and so \\boxed{5}", 8)
    for number, kinds in enumerate([[long] * 16] * 3 + [[long] * 8 + [short] * 8], 1):
        look = watch.look(number, [one("5", text, tokens=n) for text, n in kinds])
    assert [alarm.signal for alarm in look.alarms] == ["very_short"]


def one(
    reference: str, text: str, reward: float | None = 1.0, tokens: int = 10, status: Status = Status.CORRECT
) -> Watched:
    verdict = Breakdown(status, reward)
    return Watched(f"{text}-{reward}", "?", Reference("p", reference, ""), Response(text, tokens), verdict)


def test_what_was_so_at_the_beginning_alarms_by_the_limit_alone() -> None:
    answers = [one("5", "\\boxed{5}") for _ in range(20)]
    reasoned = [one("5", "we add two and three \\boxed{5}") for _ in range(20)]
    assert [a.signal for a in RewardWatch(Rl(), 0).look(1, answers).alarms] == ["no_reasoning"]
    assert not RewardWatch(Rl(watch_limit=1.0), 0).look(1, answers).alarms
    program = Reference("p", "", "code")  # is work and answer in one
    programs = [replace(one("", "```\nprint(5)\n```"), reference=program) for _ in range(20)]
    assert not RewardWatch(Rl(), 0).look(1, programs).alarms
    some = RewardWatch(Rl(), 0)
    for number in range(1, 8):  # a third of them, always
        assert not some.look(number, [*answers[:10], *reasoned]).alarms
    assert not some.look(8, answers[:7]).alarms  # too few to say


def test_lists_that_are_asked_for_are_not_several_answers() -> None:
    both = "the roots are \\boxed{1} and \\boxed{2}"
    assert not RewardWatch(Rl(), 0).look(1, [one("1, 2", both) for _ in range(20)]).alarms
    (alarm,) = RewardWatch(Rl(), 0).look(1, [one("1", both) for _ in range(20)]).alarms
    assert alarm.signal == "several_answers"


def test_a_judge_that_fails_ends_nothing_and_says_so() -> None:
    class Failing:
        name = "failing"

        def judge(self, responses: Sequence[Watched]) -> list[bool | None]:
            raise ConnectionError("no such server")

    look = RewardWatch(Rl(watch_every=1), 0, Failing()).look(1, [one("5", "we add two and three \\boxed{5}")] * 20)
    assert (
        look.failure == look.lines[-1] == "the independent judge failed (ConnectionError: no such server)"
        and not look.alarms
    )
    assert look.figures["watch_judge_failed"] == 1.0
    calm = RewardWatch(Rl(), 0).look(1, [one("5", "we add two and three \\boxed{5}")] * 20)
    assert "watch_no_reasoning" in calm.figures and "watch_judge_failed" not in calm.figures


class Reader:
    """A second opinion that believes every text that says `surely`, and fails where it is told to."""

    version = "reader@1"

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.asked: list[str] = []

    def judge(self, questions: Sequence[Question]) -> list[Opinion]:
        self.asked += [one.response for one in questions]
        return [Opinion("surely" in one.response, "gone" if self.failing else None, self.failing) for one in questions]


def test_in_a_composite_reward_the_judge_that_did_not_decide_is_asked() -> None:
    reader = Reader()
    reward = CompositeReward(MathReward(), reader)
    judge = independent_judge({}, load_profile("laptop"), reward, ExitStack())
    assert judge is not None and "reader@1" in judge.name and "math-rules" in judge.name
    texts = ["it is \\boxed{12}", "surely \\boxed{13}", "surely \\boxed{9^{9^{9^{9}}}}", "\\boxed{9^{9^{9^{8}}}}"]
    responses = [Response(text, 9) for text in texts]
    reference = Reference("p", "12", "integer")
    watched = [
        Watched(text, "?", reference, response, verdict)
        for text, response, verdict in zip(texts, responses, reward.score(reference, responses), strict=True)
    ]
    assert [one.rewarded for one in watched] == [True, False, True, False] and reader.asked == texts[2:]
    assert judge.judge(watched) == [False, True, None, None] and reader.asked[2:] == texts[:2]
    reader.failing = True
    look = RewardWatch(Rl(watch_every=1), 0, judge).look(1, watched)
    assert "2 of 2 opinions failed: gone" in look.failure


@pytest.mark.parametrize("kind", ["code", "scored"])
def test_of_what_neither_rules_nor_a_second_opinion_judge_no_independent_judge_is_asked(kind: str) -> None:
    reader = Reader()
    judge = independent_judge({}, load_profile("laptop"), CompositeReward(MathReward(), reader), ExitStack())
    watch = RewardWatch(Rl(watch_every=1), 0, judge)
    said = Evidence(kind, "tests@1", Status.CORRECT, None, 1.0)
    apart = [
        replace(
            one("", f"{number} words of work, then\n```\nprint({number})\n```"),
            reference=Reference("p", "", kind),
            verdict=Breakdown(Status.CORRECT, 1.0, evidence=(said,)),
        )
        for number in range(20)
    ]
    for number in range(1, 6):  # the share of programs among the rewarded rises
        look = watch.look(number, apart[: 4 * number])
        assert not look.alarms and not look.failure
        assert not {"overpaid", "underpaid", "undecided"} & {each.signal for each in look.findings}
    assert reader.asked == []


def test_beside_rules_a_judge_is_asked_for_by_its_setting() -> None:
    def found(**changes: str) -> IndependentJudge | None:
        profile = load_profile("laptop", {f"rl.{name}": value for name, value in changes.items()})
        return independent_judge({}, profile, MathReward(), ExitStack())

    assert found() is None and found(reward="random", watch_judge="cot_rm") is None
    with pytest.raises(UserError, match="materialise cot_reward_model first"):
        found(watch_judge="cot_rm")


def test_a_restored_watch_goes_on_as_if_nothing_had_happened() -> None:
    whole = Run(MathReward(), empty)
    whole.train()
    resumed = Run(MathReward(), empty)
    states: list[dict[str, Any]] = []

    def restarted(number: int, watched: list[Watched]) -> Look:
        fresh = RewardWatch(resumed.settings, 0)
        if states:
            fresh.restore(states[-1])
        found = fresh.look(number, watched)
        states.append(json.loads(json.dumps(fresh.state())))
        return found

    resumed.watch.look = restarted  # type: ignore[method-assign, assignment]
    resumed.train()
    assert resumed.looks == whole.looks and whole.looks[-1].alarms
