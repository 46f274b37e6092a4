"""Labels by a language model over a real endpoint: tags of unsure problems, steps; and the filter of rich reasoning."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.curation import labelling_job
from kimi_pipeline.curation.model_labels import MAX_TOKENS, STEPS, tag_form, vote
from kimi_pipeline.curation.review import waiting
from kimi_pipeline.curation.scope import FIT, in_scope
from kimi_pipeline.curation.steps import steps_by_rules
from kimi_pipeline.errors import UserError
from kimi_pipeline.inference.endpoint_protocol import payload
from kimi_pipeline.inference.request import SampleRequest, Sampling
from kimi_pipeline.jobs import Report
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.stages import Context, Outcome, run_stage
from tests.inference.faulty_gateway import Gateway, completion

SURE = "Find the area of the triangle whose sides are 3, 4 and 5."
UNSURE = "Who wrote book 1?"
SPLIT = "Who wrote book 2?"
SPEECHLESS = "Who wrote book 3?"
WRITING = ("corpus", "evaluation_problems", "duplicates", "people_decisions", "tagger")
JUDGING = ("evaluability", "contamination", "rich_reasoning")


class InProcess:
    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        assert module == "kimi_pipeline.curation.labelling_job"
        return labelling_job.run(spec, Report("labels"))


class Model:
    """An upstream that keeps to the schema it is sent, but for one problem about which it rambles."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        text = body["messages"][0]["content"].rsplit("The problem:\n", 1)[1]
        (name,) = body["response_format"]["json_schema"]["schema"]["required"]
        self.asked[f"{name}: {text}"] += 1
        if text == SPEECHLESS:
            return completion("I think that it is a riddle", key)
        if name == "steps":
            return completion(json.dumps({"steps": 7 if text == UNSURE else 1}), key)
        turns = ["mathematics/algebra", "physics/mechanics", "mathematics/geometry"]
        tag = turns[self.asked[f"tag: {text}"] - 1] if text == SPLIT else "mathematics/logic"
        return completion(json.dumps({"tag": tag}), key)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def context(make_context: Callable[..., Context], tmp_path: Path, model: Model) -> Iterator[Callable[..., Context]]:
    path = tmp_path / "rows.jsonl"
    texts = (SURE, UNSURE, SPLIT, SPEECHLESS)
    path.write_text("".join(json.dumps({"prompt": text, "answer": "1"}) + "\n" for text in texts))
    with Gateway(model) as gateway:
        yield lambda **changes: make_context(
            launcher=InProcess(),
            corpora__sources=[str(path)],
            inference__carrier="endpoint",
            inference__endpoint_url=gateway.url,
            inference__endpoint_model="m",
            **changes,
        )


def run(context: Context, *names: str) -> dict[str, Outcome]:
    return {name: run_stage(STAGES[name], context, STAGES) for name in names}


def tags(context: Context) -> dict[str, tuple[str, str, float]]:
    rows = context.lake.rows(
        "select prompt, t.discipline, origin, confidence from tags t join problems using (problem_id)"
    )
    return {row["prompt"]: (row["discipline"], row["origin"], round(row["confidence"], 3)) for row in rows}


def test_a_model_tags_what_is_unsure_and_its_own_doubts_wait(context: Callable[..., Context], model: Model) -> None:
    before = context()
    run(before, *WRITING, "problem_tags")
    assert model.asked.total() == 0  # off by default
    assert len(waiting(before.lake, "tag")) == 3
    on = context(curation__model_tags="unsure")
    figures = run(on, "problem_tags")["problem_tags"].figures
    assert (figures["by_model"], figures["by_rules"]) == (2, 2)
    found = tags(on)
    assert found[UNSURE] == ("logic", "model", 1.0)
    assert found[SPLIT][1:] == ("model", 0.333)
    assert found[SURE][:2] == ("geometry", "rules")
    assert found[SPEECHLESS][:2] == ("other", "rules")  # nothing in form: the tag stays
    assert {row["prompt"] for row in waiting(on.lake, "tag")} == {SPLIT, SPEECHLESS}
    assert set(model.asked) == {f"tag: {text}" for text in (UNSURE, SPLIT, SPEECHLESS)}
    assert set(model.asked.values()) == {3}
    on.lake.replace(tables.TAGS, [], where=None, run_id="r", reason="lost")
    run(context(curation__model_tags="unsure", curation__review_questions=9), "problem_tags")
    assert tags(on) == found
    assert model.asked.total() == 9  # every label was stored: no model was asked again


def test_the_filter_of_rich_reasoning_is_off_until_it_is_asked_for(
    context: Callable[..., Context], model: Model
) -> None:
    def fit(of: Context) -> set[str]:
        return {row["prompt"] for row in of.lake.rows(f"select prompt from {FIT}", in_scope(of))}

    off = context()
    run(off, *WRITING, *JUDGING)
    assert fit(off) == {SURE, UNSURE, SPLIT, SPEECHLESS}
    assert not off.lake.exists(tables.RICH_REASONING)
    by_rules = context(curation__min_steps=1)
    assert run(by_rules, "rich_reasoning")["rich_reasoning"].figures["too_few_steps"] == 3
    assert fit(by_rules) == {SURE}
    assert model.asked.total() == 0
    by_model = context(curation__min_steps=2, curation__steps_by="model")
    run(by_model, "rich_reasoning")
    assert fit(by_model) == {UNSURE} | ({SPEECHLESS} if steps_by_rules(SPEECHLESS) >= 2 else set())
    reasons = Counter(row["reason_code"] for row in by_model.lake.read(tables.RICH_REASONING).to_pylist())
    assert reasons == {"rich_reasoning": 1, "too_few_steps": 3}
    run(context(), "rich_reasoning")
    assert fit(off) == {SURE, UNSURE, SPLIT, SPEECHLESS}  # off again: nothing of the filter is left in force


def test_who_can_label_is_said_before_anything_is_asked(make_context: Callable[..., Context]) -> None:
    with pytest.raises(UserError, match=r"labelling by a model \(steps\) needs a model.*inference.carrier=endpoint"):
        run_stage(
            STAGES["rich_reasoning"], make_context(curation__min_steps=2, curation__steps_by="model"), dict(STAGES)
        )


def test_more_to_do_is_more_steps() -> None:
    short = "What is 2 + 3?"
    longer = (
        "Tom buys 3 boxes of 12 pens, gives 7 to Ann and half of the rest to Ben. How many pens are left if 2 broke?"
    )
    hard = f"Let $a, b, c, d$ be distinct integers such that $a + b = 5$ and $cd = 7$ where {longer}"
    assert steps_by_rules("") == 0.0
    assert steps_by_rules(short) < steps_by_rules(longer) < steps_by_rules(hard)
    assert steps_by_rules("小明有3个苹果,小红有5个,每人吃了两个,一共还剩多少个?") > steps_by_rules("3加5是多少?")


def test_votes() -> None:
    assert vote(["a", "b", "a"], 3) == ("a", 2 / 3)
    assert vote([None, "a"], 3) == ("a", 1 / 3)
    assert vote([None], 3) is None
    form = tag_form()
    assert form.json.read('{"tag": "mathematics/algebra"}') == "mathematics/algebra"
    for text in ("", "[]", '{"tag": 3}', '{"tag": "cooking/soup"}', '{"steps": 3}', "mathematics/algebra"):
        assert form.json.read(text) is None
    assert STEPS.json.read('{"steps": 4}') == 4
    assert STEPS.json.read('{"steps": true}') is None
    assert form.id != STEPS.id


def request(number: int) -> SampleRequest:
    form = STEPS if number % 2 else tag_form()
    return SampleRequest(
        problem_id=f"p{number}",
        purpose="label",
        checkpoint="c",
        template=form.id,
        user_message="What is it?",
        sampling=Sampling(1.0, MAX_TOKENS, json_schema=json.dumps(form.json.schema)),
        sample_index=0,
        run_seed=0,
        origin="c",
    )


def test_an_endpoint_is_sent_the_schema() -> None:
    sent = payload(request(1), "m")["response_format"]
    assert sent["json_schema"]["schema"] == STEPS.json.schema
    assert sent["json_schema"]["strict"]
