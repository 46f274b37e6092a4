"""The corpus of both reward models [2.3.5]: questions, references, responses and labels, split by problem.

Belongs here: which samples and hard cases go in, their labels, the split, the stage. Does not belong here: the cases
themselves (`cases.py`), training.

A label is the verifier's wherever it decides; where it abstains (or finds no answer) it is known by construction, and the
row says so. Where the two differ the row is left out and counted: one of them is wrong, and nobody has said which.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import is_held_out
from kimi_pipeline.profiles import Profile
from kimi_pipeline.reward_models.cases import Case, Category, Sampled, draw_cases
from kimi_pipeline.reward_models.verdicts import agrees, as_json, reasoning
from kimi_pipeline.reward_models.wording import WORDINGS
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.extraction import extract_answer
from kimi_pipeline.rewards.math_rules import CODE as MATH_CODE
from kimi_pipeline.rewards.rules import FREE_FORM
from kimi_pipeline.rewards.verifier import Verdict, shared_verifier
from kimi_pipeline.row_digests import content_digest
from kimi_pipeline.stages import Context, Outcome, Stage, require_outcome
from kimi_pipeline.training.stages import SFT_CHECKPOINT

HELD_OUT_SHARE = 0.2  # of the problems
TRAIN, HELD_OUT = "train", "held_out"
VERIFIER, CONSTRUCTION = "verifier", "construction"
DECIDED = (Status.CORRECT, Status.WRONG)

Rows = list[dict[str, Any]]

SAMPLES = """
    select s.problem_id, p.prompt, p.answer, s.sample_id, s.text, s.extracted_answer, s.status
    from samples s join (
        select problem_id, any_value(prompt) as prompt, any_value(answer) as answer, any_value(answer_kind) as kind
        from problems group by problem_id having count(distinct answer) = 1
    ) p using (problem_id)
    where s.purpose = 'difficulty' and s.checkpoint = ? and s.finish_reason = 'stop' and p.kind not in ('none', 'code')
      and s.status in ('correct', 'wrong') and s.extracted_answer is not null
    order by s.problem_id, s.sample_index
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A problem with what a model answered to it: (sample id, response, verdict of the verifier)."""

    problem_id: str
    question: str
    reference: str
    samples: tuple[tuple[str, Sampled, bool], ...]


def side(problem_id: str) -> str:
    """The split of a problem: its id alone decides, apart from the split of the built-in corpora."""
    held_out = is_held_out(digest(["reward models", problem_id]), HELD_OUT_SHARE)
    return HELD_OUT if held_out else TRAIN


def problems_of(rows: Sequence[dict[str, Any]]) -> Iterator[Drawn]:
    """Problems of the query `SAMPLES`."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["problem_id"], []).append(row)
    for problem_id, own in grouped.items():
        samples = tuple(
            (row["sample_id"], Sampled(row["text"], row["extracted_answer"]), row["status"] == Status.CORRECT)
            for row in own
        )
        yield Drawn(problem_id, own[0]["prompt"], own[0]["answer"], samples)


def examples_of(problem: Drawn, number: int, sampled_share: float, seed: int) -> list[dict[str, Any]]:
    """About `number` unlabelled rows of a problem: its samples, right ones first (at most half), then hard cases."""
    rng = Random(int(digest(["reward model corpus", seed, problem.problem_id]), 16))
    wanted = round(number * sampled_share + rng.random() - 0.5)
    right = [one for one in problem.samples if one[2]][: math.ceil(wanted / 2)]
    wrong = [one for one in problem.samples if not one[2]][: wanted - len(right)]
    found = []
    for sample_id, sample, correct in right + wrong:
        case = Case(
            Category.SAMPLED,
            "as_sampled",
            problem.question,
            problem.reference,
            sample.text,
            (sample.answer,),
            sample.answer,
            correct,
        )
        found.append(_row(problem, case, sample_id))
    texts = [sample for _, sample, _ in problem.samples]
    for case in draw_cases(problem.question, problem.reference, texts, number - len(found), rng):
        found.append(_row(problem, case, None))
    return found


def _row(problem: Drawn, case: Case, sample_id: str | None) -> dict[str, Any]:
    return {
        "example_id": digest([case.question, case.reference, case.response]),
        "problem_id": problem.problem_id,
        "sample_id": sample_id,
        "split": side(problem.problem_id),
        "category": str(case.category),
        "form": case.form,
        "question": case.question,
        "reference": case.reference,
        "response": case.response,
        "correct": case.correct,
        "reasoning": reasoning(case.reference, case.said, case.value),
    }


def labelled(rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The rows with their labels, and what was left out: `disagreement`, `unreasoned` (the steps don't lead to the label),
    `verifier_failed`."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row["reference"], []).append(place)
    asked = [
        (reference, [extract_answer(rows[place]["response"]) for place in places], FREE_FORM)
        for reference, places in groups.items()
    ]
    found, left_out = [], Counter[str]()
    verdicts: dict[int, Verdict] = {}
    for places, own in zip(groups.values(), shared_verifier().verify_groups(asked), strict=True):
        verdicts |= dict(zip(places, own, strict=True))
    for place, row in enumerate(rows):
        verdict = verdicts[place]
        # That no answer is found is a verdict where there is none; elsewhere the rules didn't understand one.
        decided = verdict.status in DECIDED or (verdict.status is Status.NO_ANSWER and row["category"] == Category.NONE)
        if verdict.status is Status.INFRASTRUCTURE_ERROR:
            left_out["verifier_failed"] += 1
        elif decided and (verdict.status is Status.CORRECT) != row["correct"]:
            left_out["disagreement"] += 1
        elif not agrees(row["reasoning"], row["correct"]):
            left_out["unreasoned"] += 1
        else:
            found.append(
                row
                | {
                    "labelled_by": VERIFIER if decided else CONSTRUCTION,
                    "verifier_status": str(verdict.status),
                    "verifier_reason": verdict.reason,
                }
            )
    return found, left_out


def as_example(row: Mapping[str, Any], profile: Profile) -> tuple[str, str]:
    """The message that a reward model gets for a row, and what the Chain-of-Thought RM is to write."""
    message = WORDINGS[profile.curation.template].message(row["question"], row["reference"], row["response"])
    return message, as_json(row["reasoning"], row["correct"])


def fitting(folder: Path, profile: Profile) -> Callable[[Rows], Rows]:
    """What keeps the rows whose example the model in `folder` has room for."""
    from transformers import AutoTokenizer

    from kimi_pipeline.training.examples import prompt_ids, response_ids

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def keep(rows: Rows) -> Rows:
        if not rows:
            return []
        messages, responses = zip(*(as_example(row, profile) for row in rows), strict=True)
        tokens = zip(prompt_ids(tokenizer, messages), response_ids(tokenizer, responses), strict=True)
        return [
            row
            for row, (asked, said) in zip(rows, tokens, strict=True)
            if len(asked) + len(said) <= profile.model.window
        ]

    return keep


def make_corpus(context: Context) -> Outcome:
    """Draw, label and store the corpus of this profile's SFT checkpoint."""
    settings = context.profile.reward_models
    if not settings.examples:
        context.lake.replace(
            tables.REWARD_MODEL_CORPUS,
            [],
            where=f"profile = '{context.profile.name}'",
            run_id=context.run_id,
            reason="reward_model_corpus",
        )
        return Outcome(
            "none", figures={"examples": 0, "note": "reward_models.examples = 0: no reward model is trained"}
        )
    policy = require_outcome(SFT_CHECKPOINT, context).outputs
    problems = list(problems_of(context.lake.rows(SAMPLES, [policy["digest"]])))
    if not problems:
        raise UserError("no problem has a judged sample of the SFT checkpoint: materialise difficulty first")
    wanted = {TRAIN: settings.examples, HELD_OUT: settings.held_out_examples}
    # An endpoint has no folder, and no reward model that could learn.
    keep = fitting(Path(policy["folder"]), context.profile) if policy["folder"] else list
    rows, left_out = _drawn(problems, wanted, settings.sampled_share, context.profile.seed, keep)
    stored = [{"profile": context.profile.name} | row for row in rows]
    context.lake.replace(
        tables.REWARD_MODEL_CORPUS,
        stored,
        where=f"profile = '{context.profile.name}'",
        run_id=context.run_id,
        reason="reward_model_corpus",
    )
    return Outcome(
        data_version=content_digest(tables.REWARD_MODEL_CORPUS, stored),
        figures=_figures(rows, left_out),
        preview=[
            {name: row[name] for name in ("category", "form", "reference", "response", "correct", "reasoning")}
            for row in rows[:10]
        ],
    )


def _drawn(
    problems: Sequence[Drawn], wanted: dict[str, int], sampled_share: float, seed: int, keep: Callable[[Rows], Rows]
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Labelled rows of both splits, no example twice, at most as many as wanted; problems in an order of their own."""
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for split, most in wanted.items():
        own = sorted(
            (one for one in problems if side(one.problem_id) == split), key=lambda one: digest([seed, one.problem_id])
        )
        if not own:
            raise UserError(f"no problem is on the {split} side of the reward models' split: give more problems")
        each = max(1, math.ceil(most / len(own) * 1.1))  # some are left out
        drawn = {row["example_id"]: row for one in own for row in examples_of(one, each, sampled_share, seed)}
        decided, dropped = labelled(list(drawn.values()))
        found = keep(decided)
        left_out += dropped + Counter(too_long=len(decided) - len(found))
        Random(seed).shuffle(found)
        rows += found[:most]
    return rows, left_out


def _figures(rows: Sequence[dict[str, Any]], left_out: Counter[str]) -> dict[str, Any]:
    by_construction = sum(row["labelled_by"] == CONSTRUCTION for row in rows)
    return {
        "examples": len(rows),
        "train": sum(row["split"] == TRAIN for row in rows),
        "held_out": sum(row["split"] == HELD_OUT for row in rows),
        "problems": len({row["problem_id"] for row in rows}),
        "correct_share": round(sum(row["correct"] for row in rows) / max(1, len(rows)), 4),
        "labelled_by_construction": by_construction,
        "labelled_by_verifier": len(rows) - by_construction,
        "left_out": dict(left_out),
        "by_category": dict(Counter(row["category"] for row in rows).most_common()),
    }


def _settings(context: Context) -> dict[str, Any]:
    settings = context.profile.reward_models
    return {
        "examples": settings.examples,
        "held_out_examples": settings.held_out_examples,
        "sampled_share": settings.sampled_share,
        "seed": context.profile.seed,
        "template": context.profile.curation.template,
        "window": context.profile.model.window,
    }


REWARD_MODEL_CORPUS = Stage(
    name="reward_model_corpus",
    description="Responses with labels for the reward models: sampled ones, and hard cases made on purpose",
    group="rewards",
    compute=make_corpus,
    upstream=("corpus", "sft_checkpoint", "difficulty"),
    settings=_settings,
    code=(
        "kimi_pipeline.reward_models.cases",
        "kimi_pipeline.reward_models.corpus",
        "kimi_pipeline.reward_models.forms",
        "kimi_pipeline.reward_models.verdicts",
        "kimi_pipeline.reward_models.wording",
        *MATH_CODE,
    ),
    tables=(tables.REWARD_MODEL_CORPUS,),
)
