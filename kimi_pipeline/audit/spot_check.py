"""Spot check [2.3.5]: how often judges are right, by what a person says of a seeded sample of their judgements.

Belongs here: drawing the sample, putting it to a person, accuracy with its interval. Does not belong here: judging
(`rewards/`), the review list and its files (`curation/review.py`, `review_csv.py`).

The sample is stratified by judge and answer kind in proportion, one judgement a problem, so that a share of the sample
estimates the share of all. A person sees problem, reference and response, and neither the judge nor its verdict. Until a
person's file is merged there is one other truth: responses made to be right or wrong, whose truth nobody had to judge.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.curation.choosing import rounded
from kimi_pipeline.curation.review import CORRECT, JUDGEMENT, UNCLEAR, WRONG, Ask, ask, decisions
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.intervals import wilson
from kimi_pipeline.lake import Lake
from kimi_pipeline.reasons import Reason
from kimi_pipeline.reward_models.cases import Category
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.math_rules import VERSION, MathReward

STAGE = "spot_check"
VERIFIER = "verifier"
REPORTED = {"classic": 0.844, "cot": 0.985}
"""What the report found by its own spot checks of its reward models [2.3.5]: of its models, on its data."""
PEOPLE, CONSTRUCTION = "people", "construction"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of a response. `made_correct`: how the response was made; None for a sampled one."""

    judge: str
    judge_version: str
    problem_id: str
    sample_id: str | None
    answer_kind: str
    reference: str
    response: str
    judged_correct: bool
    made_correct: bool | None = None

    @property
    def spot_check_id(self) -> str:
        return digest([STAGE, self.judge, self.judge_version, self.problem_id, self.sample_id, self.response])


Collector = Callable[[Lake, int, int], list[Judgement]]

SAMPLES = f"""
    select problem_id, sample_id, answer, answer_kind, text, status, rule_version from samples
    join (select problem_id, any_value(answer) as answer, any_value(answer_kind) as answer_kind from problems group by 1)
      using (problem_id)
    where status in ('{Status.CORRECT}', '{Status.WRONG}') and coalesce(text, '') <> '' and answer is not null
    qualify row_number() over (partition by problem_id order by md5($seed || sample_id)) = 1
    order by md5($seed || problem_id) limit $most
"""


def verifier_on_samples(lake: Lake, seed: int, most: int) -> list[Judgement]:
    """The verifier's decided verdicts on sampled responses, one a problem."""
    return [
        Judgement(
            VERIFIER,
            row["rule_version"],
            row["problem_id"],
            row["sample_id"],
            row["answer_kind"],
            row["answer"],
            row["text"],
            row["status"] == Status.CORRECT,
        )
        for row in lake.rows(SAMPLES, {"seed": str(seed), "most": most})
    ]


PROBLEMS = """
    select problem_id, any_value(answer) as answer, any_value(answer_kind) as answer_kind from problems
    where coalesce(answer, '') <> '' group by 1 order by md5($seed || problem_id) limit $most
"""


def verifier_on_made(lake: Lake, seed: int, most: int) -> list[Judgement]:
    """The verifier on responses that were made to be right or wrong, one a problem; those it leaves open are left out."""
    rewards = MathReward()
    found = []
    for row in lake.rows(PROBLEMS, {"seed": str(seed), "most": most}):
        rng = random.Random(f"{seed} {row['problem_id']}")
        answer, right = made_answer(row["answer"], rng)
        response = f"After working through it, the result is \\boxed{{{answer}}}"
        reference = Reference(row["problem_id"], row["answer"], row["answer_kind"] or "")
        (verdict,) = rewards.score(reference, [Response(response, len(response) // 4)])
        if verdict.status in (Status.CORRECT, Status.WRONG):
            judged = verdict.status is Status.CORRECT
            found.append(
                Judgement(
                    VERIFIER,
                    VERSION,
                    row["problem_id"],
                    None,
                    row["answer_kind"],
                    row["answer"],
                    response,
                    judged,
                    right,
                )
            )
    return found


CASES = """
    with newest as (
        select profile, model, checkpoint, votes from reward_model_judgements where model = $model
        group by all order by max(created_at) desc, votes desc limit 1
    )
    select c.problem_id, c.sample_id, c.reference, c.response, c.category, c.correct, j.judged_correct, j.checkpoint,
           j.votes, p.answer_kind
    from reward_model_judgements j join newest using (profile, model, checkpoint, votes)
    join reward_model_corpus c using (profile, example_id)
    left join (select problem_id, any_value(answer_kind) as answer_kind from problems group by 1) p
      on p.problem_id = c.problem_id
    where j.judged_correct is not null
    qualify row_number() over (partition by c.problem_id order by md5($seed || example_id)) = 1
    order by md5($seed || c.problem_id) limit $most
"""


def reward_model(model: str) -> Collector:
    """The newest verdicts of a reward model (`classic` or `cot`) on held-out examples, one a problem. Hard cases were made to
    be right or wrong; of a sampled response a person must say."""

    def judgements(lake: Lake, seed: int, most: int) -> list[Judgement]:
        return [
            Judgement(
                model,
                f"{row['checkpoint'][:12]}, {row['votes']} votes",
                row["problem_id"],
                row["sample_id"],
                row["answer_kind"] or "",
                row["reference"],
                row["response"],
                row["judged_correct"],
                None if row["category"] == Category.SAMPLED else row["correct"],
            )
            for row in lake.rows(CASES, {"model": model, "seed": str(seed), "most": most})
        ]

    return judgements


def made_answer(reference: str, rng: random.Random) -> tuple[str, bool]:
    """An answer and whether it is the reference's value: a number in another form or another number, anything else as it
    stands. Only of numbers is it known that a changed one is wrong."""
    right = rng.random() < 0.5
    if re.fullmatch(r"-?\d{1,15}", reference):
        value = int(reference) + (0 if right else rng.choice([-10, -1, 1, 2, 10]))
        return rng.choice([f"{value}", f"{value}.0", f"{value:,}", f"\\frac{{{2 * value}}}{{2}}"]), right
    if found := re.fullmatch(r"\\[dt]?frac\{(\d{1,9})\}\{(\d{1,9})\}", reference):
        top, bottom = int(found[1]) + (0 if right else 1), int(found[2])
        return rng.choice([f"{top}/{bottom}", f"\\frac{{{3 * top}}}{{{3 * bottom}}}"]), right
    return reference, True


COLLECTORS: tuple[Collector, ...] = (
    verifier_on_samples,
    verifier_on_made,
    reward_model("cot"),
    reward_model("classic"),
)
"""Where judgements come from: (lake, seed, most) -> at most so many, drawn by the seed, no two of one problem."""
POOL = 20  # judgements that are looked at for each that is drawn


def draw(judgements: Sequence[Sequence[Judgement]], size: int, taken: Iterable[str] = ()) -> list[Judgement]:
    """`size` judgements from each list, in proportion to its answer kinds, and no problem twice in all. `taken` problems
    are left out. Fewer where there are fewer."""
    used = set(taken)
    drawn: list[Judgement] = []
    for listed in judgements:
        rest = [one for one in listed if one.problem_id not in used]
        counts = Counter(one.answer_kind for one in rest)
        quota = rounded(min(size, len(rest)), counts)
        for one in rest:
            if quota[one.answer_kind]:
                quota[one.answer_kind] -= 1
                used.add(one.problem_id)
                drawn.append(one)
    return drawn


def put_to_people(lake: Lake, size: int, seed: int, *, run_id: str) -> dict[str, int]:
    """Draw `size` judgements of each kind of source and ask about them; returns how many were drawn, and are new questions.

    Raises UserError where nothing has been judged yet.
    """
    stored = lake.rows("select problem_id, spot_check_id, seed from spot_checks")
    asked = {row["problem_id"] for row in stored if row["seed"] != seed}
    drawn = draw([collect(lake, seed, POOL * size) for collect in COLLECTORS], size, asked)
    # What a person says counts for the problem: of one that was asked about, no other response may be.
    known = {row["spot_check_id"] for row in stored}
    shown = {row["problem_id"] for row in stored}
    drawn = [one for one in drawn if one.spot_check_id in known or one.problem_id not in shown]
    if not drawn:
        raise UserError("nothing to check: no response has been judged that was not asked about (`kimi-pipeline run`)")
    rows = [asdict(one) | {"spot_check_id": one.spot_check_id, "seed": seed} for one in drawn]
    new = [row for row in rows if row["spot_check_id"] not in known]
    lake.append(tables.SPOT_CHECKS, new, run_id=run_id, reason=f"{len(new)} judgements for a spot check")
    questions = [
        Ask(one.problem_id, JUDGEMENT, STAGE, Reason.SPOT_CHECK, evidence={"spot_check_id": one.spot_check_id})
        for one in drawn
    ]
    return {"drawn": len(drawn), "asked": ask(lake, questions, run_id=run_id)}


def report(lake: Lake) -> list[dict[str, Any]]:
    """A row a judge and source of truth: `{"judge", "versions", "truth", "right", "n", "accuracy", "low", "high", "waiting",
    "unclear", "by_kind", "reported"}`.

    `truth` is `people` where a person decided, else `construction`: what a person says counts for a made response too.
    `waiting` judgements have no truth yet. `reported` is the report's own figure for its own model, None for others.
    """
    said = {problem_id: one.decision for problem_id, one in decisions(lake, JUDGEMENT).items()}
    rows = lake.rows("select * from spot_checks order by judge, problem_id, spot_check_id")
    found = []
    for judge in dict.fromkeys(row["judge"] for row in rows):
        own = [row for row in rows if row["judge"] == judge]
        by_people = [
            (row, said[row["problem_id"]] == CORRECT) for row in own if said.get(row["problem_id"]) in (CORRECT, WRONG)
        ]
        made = [
            (row, row["made_correct"])
            for row in own
            if row["made_correct"] is not None and row["problem_id"] not in said
        ]
        unclear = sum(said.get(row["problem_id"]) == UNCLEAR for row in own)
        for truth, told in ((PEOPLE, by_people), (CONSTRUCTION, made)):
            if told:
                found.append(
                    {"judge": judge, "versions": sorted({row["judge_version"] for row in own}), "truth": truth}
                    | _accuracy(told)
                    | {"waiting": len(own) - len(by_people) - len(made) - unclear, "unclear": unclear}
                    | {"by_kind": _by_kind(told), "reported": REPORTED.get(judge)}
                )
    return found


Told = Sequence[tuple[dict[str, Any], bool]]


def _accuracy(told: Told) -> dict[str, Any]:
    right = sum(row["judged_correct"] is truth for row, truth in told)
    low, high = wilson(right, len(told))
    return {"right": right, "n": len(told), "accuracy": right / len(told), "low": low, "high": high}


def _by_kind(told: Told) -> dict[str, str]:
    kinds = sorted({row["answer_kind"] or "" for row, _ in told})
    return {
        kind: f"{found['right']}/{found['n']}"
        for kind in kinds
        for found in [_accuracy([one for one in told if (one[0]["answer_kind"] or "") == kind])]
    }
