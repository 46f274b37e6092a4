"""Spot checks: a blind, seeded, stratified sample of judgements; a person's file makes the figures."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.audit.spot_check import Judgement, draw, made_answer, put_to_people, report
from kimi_pipeline.curation.review_csv import export, load
from kimi_pipeline.errors import UserError
from kimi_pipeline.lake import Lake
from kimi_pipeline.rewards.math_rules import same_answer

STAMP = {"run_id": "r", "reason": "test"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Sixty problems of two kinds, two judged samples each. The verifier is wrong on every tenth problem."""
    lake = Lake(tmp_path / "lake")
    problems, samples = [], []
    for number in range(60):
        kind, answer = ("rational", f"\\frac{{{number + 1}}}{{77}}") if number % 3 == 0 else ("integer", str(number))
        name = f"p{number:02d}"
        problems.append(
            {"source": "s", "source_row": name, "problem_id": name, "prompt": f"q{number}", "answer": answer}
            | {"answer_kind": kind}
        )
        for index in range(2):
            right = (number + index) % 2 == 0
            judged = right if number % 10 else not right
            samples.append(
                {"sample_id": f"{name}-{index}", "problem_id": name, "purpose": "difficulty", "rule_version": "v1"}
                | {"text": f"So {'right' if right else 'not'}", "status": "correct" if judged else "wrong"}
            )
    lake.append(tables.PROBLEMS, problems, **STAMP)
    lake.append(tables.SAMPLES, samples, **STAMP)
    return lake


def answered(path: Path, decide: Any) -> int:
    """Fill in a file as a person would, who knows of the response what its text says; returns how many rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["question"] == "judgement" and row["proposed"] == "" and "v1" not in row["evidence"]  # blind
        row["decision"], row["decided_by"] = decide(row), "ada"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def test_construction_speaks_until_a_persons_file_is_merged(lake: Lake, tmp_path: Path) -> None:
    assert report(lake) == []
    done = put_to_people(lake, 20, 0, run_id="r")
    assert done == {"drawn": 40, "asked": 40}
    assert put_to_people(lake, 20, 0, run_id="r") == {"drawn": 40, "asked": 0}  # the same seed, the same sample
    (made,) = report(lake)
    assert (made["judge"], made["truth"], made["right"], made["n"], made["waiting"]) == (
        "verifier", "construction", 20, 20, 20
    )  # fmt: skip
    assert 0.8 < made["low"] < made["accuracy"] == 1.0 and made["reported"] is None

    path = tmp_path / "review.csv"
    assert export(lake, path, "judgement") == 40

    def decide(row: dict[str, str]) -> str:
        if row["response"].startswith("After working"):
            return ""  # left for later
        return "unclear" if row["problem_id"] == first else "correct" if "right" in row["response"] else "wrong"

    first = min(
        row["problem_id"] for row in lake.rows("select problem_id from spot_checks where sample_id is not null")
    )
    assert answered(path, decide) == 40
    assert load(lake, path, run_id="r")["decided"] == 20
    by_truth = {row["truth"]: row for row in report(lake)}
    people = by_truth["people"]
    drawn = lake.rows("select problem_id, answer_kind from spot_checks where sample_id is not null")
    told = [row for row in drawn if row["problem_id"] != first]
    wrong = sum(int(row["problem_id"][1:]) % 10 == 0 for row in told)
    assert (people["n"], people["right"], people["unclear"], people["waiting"]) == (19, 19 - wrong, 1, 0)
    assert people["low"] < people["accuracy"] < 1 or not wrong
    assert by_truth["construction"]["n"] == 20
    assert sum(int(part.split("/")[1]) for part in people["by_kind"].values()) == 19


def test_what_a_person_said_of_one_response_is_said_of_no_other(lake: Lake) -> None:
    put_to_people(lake, 20, 0, run_id="r")
    before = {row["spot_check_id"]: row["problem_id"] for row in lake.rows("select * from spot_checks")}
    more = [
        {"sample_id": f"p{number:02d}-{index}", "problem_id": f"p{number:02d}", "purpose": "difficulty"}
        | {"rule_version": "v1", "text": f"So {index}", "status": "correct"}
        for number in range(60)
        for index in range(2, 12)
    ]
    lake.append(tables.SAMPLES, more, **STAMP)  # among them the first of most problems by the same seed
    put_to_people(lake, 20, 0, run_id="r")
    after = lake.rows("select spot_check_id, problem_id from spot_checks")
    assert before.keys() <= {row["spot_check_id"] for row in after}
    assert max(Counter(row["problem_id"] for row in after).values()) == 1


def test_another_seed_asks_about_other_problems_until_there_are_none(lake: Lake) -> None:
    put_to_people(lake, 20, 0, run_id="r")
    assert put_to_people(lake, 20, 1, run_id="r")["asked"] == 20
    found = lake.rows("select problem_id from spot_checks")
    assert len(found) == 60 == len({row["problem_id"] for row in found})
    with pytest.raises(UserError, match="nothing to check"):
        put_to_people(lake, 20, 2, run_id="r")


def test_reward_models_are_drawn_by_their_newest_verdicts_beside_the_reports_figures(lake: Lake) -> None:
    examples, judged = [], []
    for number in range(30):
        key = {"profile": "laptop", "example_id": f"e{number}", "problem_id": f"p{number:02d}"}
        category = "sampled" if number % 3 == 0 else "unit"
        case = {"category": category, "correct": number % 2 == 0}
        examples.append(key | case | {"reference": "1", "response": f"text {number}", "split": "held_out"})
        for model, right in (("classic", number % 4 != 1), ("cot", True)):
            said = case["correct"] if right else not case["correct"]
            judged.append(key | case | {"model": model, "checkpoint": "c" * 32, "votes": 1, "judged_correct": said})
    lake.append(tables.REWARD_MODEL_CORPUS, examples, **STAMP)
    lake.append(tables.REWARD_MODEL_JUDGEMENTS, judged, **STAMP)
    assert put_to_people(lake, 8, 0, run_id="r")["drawn"] == 32
    rows = {row["judge"]: row for row in report(lake)}
    assert set(rows) == {"classic", "cot", "verifier"} and {row["truth"] for row in rows.values()} == {"construction"}
    assert (rows["cot"]["accuracy"], rows["cot"]["reported"], rows["classic"]["reported"]) == (1.0, 0.985, 0.844)
    assert rows["cot"]["n"] + rows["cot"]["waiting"] == 8 and rows["cot"]["versions"] == [f"{'c' * 12}, 1 votes"]
    drawn = lake.rows("select * from spot_checks where judge = 'classic'")
    assert all((row["made_correct"] is None) == (int(row["problem_id"][1:]) % 3 == 0) for row in drawn)
    wrong = [row for row in drawn if row["made_correct"] not in (None, row["judged_correct"])]
    assert rows["classic"]["right"] == rows["classic"]["n"] - len(wrong)


def test_a_draw_is_in_proportion_to_kinds_and_takes_no_problem_twice() -> None:
    def judged(judge: str, number: int, kind: str) -> Judgement:
        return Judgement(judge, "v", f"p{number}", None, kind, "1", "text", True)

    first = [judged("a", n, "integer" if n % 4 else "real") for n in range(100)]
    second = [judged("b", n, "text") for n in range(0, 100, 2)]
    drawn = draw([first, second], 20, ["p1"])
    assert Counter((one.judge, one.answer_kind) for one in drawn) == {
        ("a", "integer"): 15, ("a", "real"): 5, ("b", "text"): 20
    }  # fmt: skip
    assert len({one.problem_id for one in drawn}) == 40 and "p1" not in {one.problem_id for one in drawn}


@pytest.mark.parametrize("reference", ["12", "-3", "1204", "\\frac{3}{4}", "x^2+1"])
def test_made_answers_are_what_they_are_said_to_be(reference: str) -> None:
    rng = random.Random(0)
    found = {made_answer(reference, rng) for _ in range(40)}
    assert {right for _, right in found} == ({True} if "x" in reference else {True, False})
    assert all(same_answer(reference, answer) is right for answer, right in found)
