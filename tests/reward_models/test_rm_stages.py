"""The stages of the reward models on a small lake, their jobs played by a script; and constrained JSON on a real engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kimi_pipeline import tables
from kimi_pipeline.audit.spot_check import reward_model
from kimi_pipeline.checkpoints import save_checkpoint
from kimi_pipeline.corpora.families.base import Item
from kimi_pipeline.corpora.families.drawing import items, seeded
from kimi_pipeline.corpora.families.registry import QUEUE, REGISTER
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.problems import problem_id
from kimi_pipeline.reward_models import stages
from kimi_pipeline.reward_models.corpus import fitting
from kimi_pipeline.reward_models.cot import CotJudge, Votes
from kimi_pipeline.reward_models.verdicts import Trouble
from kimi_pipeline.reward_models.wording import WORDINGS
from kimi_pipeline.rewards.extraction import extract_answer
from kimi_pipeline.rewards.second_opinion import Question
from kimi_pipeline.stages import Context, run_stage
from kimi_pipeline.tables.declare import as_json
from tests.conftest import NoJobs

OURS = ("reward_model_corpus", "classic_reward_model", "cot_reward_model", "reward_model_evaluation")
PROBLEMS = 30


class Scripted:
    """A launcher whose Classic RM always says 0.7 and whose Chain-of-Thought RM knows the truth, but one vote is cut."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.specs: dict[str, dict[str, Any]] = {}
        self.truth: list[bool] = []

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        self.specs[module] = spec
        if module == stages.JUDGING_JOB:
            assert pq.read_table(spec["questions"]).num_rows == len(self.truth)
            said = [
                {"correct": one, "reason": None, "share": float(one), "tokens": 9, "evidence": ["{}"]}
                for one in self.truth
            ]
            said[0] |= {"correct": None, "reason": "rm_cut", "share": None}
            return {"opinions": {str(votes): said for votes in spec["votes"]}, "seconds": 1.0}
        made = save_checkpoint(
            self._root, spec.get("stage", "classic_rm"), lambda folder: (folder / "config.json").write_text(module)
        )
        self.truth = pq.read_table(spec["held_out"]).column("correct").to_pylist()
        return {"digest": made.digest, "seconds": 2.0, "probabilities": [0.7] * len(self.truth)}


def store_samples(context: Context, policy: Path | None = None) -> None:
    """An SFT checkpoint's outcome, problems of two families and four answers to each, half of them with slips."""
    run = {"run_id": context.run_id, "reason": "test"}
    problems, samples = [], []
    for family in (REGISTER, QUEUE):
        for number, item in enumerate(items(0, family, PROBLEMS, False, 0.2)):
            identity = problem_id(item.prompt)
            row = {"source": family.name, "source_row": str(number), "prompt": item.prompt, "answer": item.answer}
            problems.append(row | {"problem_id": identity, "answer_kind": item.answer_kind})
            samples += [sample(item, identity, family, index) for index in range(4)]
    context.lake.append(tables.PROBLEMS, problems, **run)
    context.lake.append(tables.SAMPLES, samples, **run)
    metadata = as_json({"figures": {}, "plots": {}, "preview": [], "seconds": 0})
    for name in ("corpus", "sft_checkpoint", "difficulty"):
        partition = STAGES[name].partition(context)
        outputs = as_json({"digest": "sft", "folder": str(policy)} if name == "sft_checkpoint" else {})
        row = {"stage": name, "partition": partition, "fingerprint": name, "data_version": name, "inputs": "{}"}
        context.lake.append(tables.STAGES, [row | {"outputs": outputs, "metadata": metadata}], **run)


def sample(item: Item, identity: str, family: Any, index: int) -> dict[str, Any]:
    text = family.solution(item, seeded(item.prompt, index), 0.3 * (index % 2))
    answer = extract_answer(text)
    return {
        "sample_id": f"{identity}-{index}",
        "problem_id": identity,
        "purpose": "difficulty",
        "checkpoint": "sft",
        "sample_index": index,
        "text": text,
        "finish_reason": "stop",
        "extracted_answer": answer,
        "status": "correct" if answer == item.answer else "wrong",
    }


@pytest.fixture
def context(make_context: Callable[..., Context], home: Home, tiny_models: list[Path]) -> Context:
    sizes = {"reward_models__examples": 200, "reward_models__held_out_examples": 40}
    made = make_context(launcher=Scripted(home.checkpoints), **sizes)
    store_samples(made, tiny_models[0])
    return made


def test_both_models_learn_from_one_corpus_and_are_told_apart(context: Context) -> None:
    outcomes = {name: run_stage(STAGES[name], context, STAGES) for name in OURS}
    launcher: Any = context.launcher
    corpus = outcomes[OURS[0]].figures
    assert corpus["train"] == 200 and corpus["held_out"] == 40 and 0.3 < corpus["correct_share"] < 0.7
    sides = context.lake.rows("select problem_id from reward_model_corpus group by 1 having count(distinct split) > 1")
    assert sides == []
    training = [launcher.specs[job] for job in (stages.CLASSIC_JOB, stages.COT_JOB)]
    assert training[0]["examples"] == training[1]["examples"] and training[1]["stage"] == "cot_rm"
    figures = outcomes[OURS[3]].figures
    correct = sum(launcher.truth) / 40
    assert figures["classic_accuracy"] == pytest.approx(correct)
    assert figures["cot_accuracy_5_votes"] == pytest.approx(39 / 40) and figures["cot_no_verdict"] == 1 / 40
    assert figures["classic_calibration_error"] == pytest.approx(abs(0.7 - correct), abs=1e-4)
    assert all(Path(path).stat().st_size > 5000 for path in outcomes[OURS[3]].plots.values())
    rows = context.lake.rows(
        "select model, votes, count(*) as n from reward_model_judgements group by all order by all"
    )
    assert [tuple(row.values()) for row in rows] == [("classic", 1, 40), ("cot", 1, 40), ("cot", 5, 40)]
    assert all(run_stage(STAGES[name], context, STAGES).cached for name in OURS)
    for_people = reward_model("cot")(context.lake, 0, 100)
    assert len({one.problem_id for one in for_people}) == len(for_people) > 5
    made = [one for one in for_people if one.sample_id is None]
    assert made and all(one.judged_correct == one.made_correct for one in made)
    assert all(one.made_correct is None for one in for_people if one.sample_id)


def test_an_example_that_the_model_has_no_room_for_is_left_out_and_counted(
    make_context: Callable[..., Context], tiny_models: list[Path]
) -> None:
    sizes = {"reward_models__examples": 100, "reward_models__held_out_examples": 40, "model__window": 150}
    context = make_context(launcher=NoJobs(), **sizes)
    store_samples(context, tiny_models[0])
    corpus = run_stage(STAGES[OURS[0]], context, STAGES).figures
    assert corpus["left_out"]["too_long"] > 0 and corpus["examples"] > 20
    kept = context.lake.rows("select * from reward_model_corpus")
    assert fitting(tiny_models[0], context.profile)(kept) == kept


def test_no_examples_train_nothing_and_an_rl_run_that_asks_is_told(make_context: Callable[..., Context]) -> None:
    context = make_context(reward_models__examples=0, rl__reward="composite")
    store_samples(context)
    for name in OURS:
        assert run_stage(STAGES[name], context, STAGES).data_version == "none"
    from kimi_pipeline.rl.stage import _judge_spec

    with pytest.raises(UserError, match=r"reward_models\.examples"):
        _judge_spec(context)


def test_an_engine_is_held_to_the_object(carrier: Any) -> None:
    """A model that knows nothing: what it writes begins as the object, white space aside, and no part is a verdict."""
    judge = CotJudge(carrier, "c" * 32, WORDINGS["tiny"], Votes(2, 1.0, 40), seed=1)
    questions = [Question("q", "5", "so \\boxed{5}"), Question("q", "5", "x " * 400)]
    found, long = judge.judge(questions)
    begun = '{"reasoning":"'
    for text in ("".join(said.split())[: len(begun)] for said in found.evidence):
        assert text and begun.startswith(text), found.evidence
    whole = [json.loads(text) for text in found.evidence if text.endswith("}")]
    assert all(set(one) == {"reasoning", "verdict"} for one in whole)
    assert found.correct is not None or found.reason in (Trouble.CUT, "rm_tie")
    assert (long.correct, long.reason) == (None, "rm_too_long")
