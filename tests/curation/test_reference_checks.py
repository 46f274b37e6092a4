"""Suspect references: who is suspected, and what a person's decision changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kimi_pipeline import tables
from kimi_pipeline.curation.reference_checks import Agreement, agreement, normal_form, suspects
from kimi_pipeline.curation.review import Decided, decide, waiting
from kimi_pipeline.digests import digest
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.stages import new_run_id
from tests.curation.conftest import Curation


def answers(*given: tuple[str, str | None]) -> list[dict[str, Any]]:
    return [
        {"sample_id": f"s{n}", "status": status, "extracted_answer": answer} for n, (status, answer) in enumerate(given)
    ]


def test_one_answer_in_several_forms_is_one_vote() -> None:
    assert normal_form("0.5") == normal_form("\\frac{1}{2}") == normal_form("1/2")
    assert normal_form("Monday") == normal_form(" monday. ")
    wrong = [(Status.WRONG, form) for form in ("1/2", "0.5", "\\frac12", "3")]
    found = agreement("p", "g", answers(*wrong, (Status.CORRECT, "4"), (Status.NO_ANSWER, None)))
    assert found is not None
    assert (found.answer, found.votes, found.next_votes, found.n) == ("1/2", 3, 1, 6)
    assert found.sample_ids == ("s0", "s1", "s2")
    assert not found.is_reference
    assert agreement("p", "g", answers((Status.NO_ANSWER, None), (Status.UNVERIFIABLE, "x"))) is None


def made(group: str, votes: int, next_votes: int, right: bool, n: int = 10) -> Agreement:
    return Agreement(f"{group}{votes}{next_votes}{right}", group, n, "", votes, next_votes, right, ())


def found(*agreements: Agreement) -> list[str]:
    return [one.problem_id for one in suspects(agreements, majority=0.6, margin=0.3, ability=0.7)]


def test_a_group_in_which_the_model_is_able_is_believed() -> None:
    able = [made("g", 9, 1, True)] * 40
    assert found(*able, made("g", 9, 1, False)) == ["g91False"]
    assert found(*able, made("g", 6, 3, False)) == ["g63False"]
    assert found(*able, made("g", 5, 0, False), made("g", 6, 4, False), made("g", 1, 0, False, n=1)) == []


def test_a_weak_models_favourite_mistakes_are_not() -> None:
    weak = [made("g", 9, 1, True), made("g", 9, 1, False)] * 40
    assert found(*weak) == []
    assert found(*[made("few", 9, 1, True)] * 4, made("few", 9, 1, False)) == []  # too few to tell
    assert (
        found(*[made("able", 9, 1, True)] * 40, made("other", 9, 1, False)) == []
    )  # of other problems it says nothing


def test_suspects_wait_for_a_person_and_the_decision_is_in_force(curation: Callable[..., Curation]) -> None:
    run = curation()
    run.run()
    lake = run.context.lake
    asked = waiting(lake, "suspect_reference")
    planted = {
        row["problem_id"]: row for row in lake.read(tables.PROBLEMS).to_pylist() if row["planted"] == "wrong_reference"
    }
    assert {row["problem_id"] for row in asked} == set(planted)
    for row in asked:
        assert row["proposed"] == f"answer={1 - int(planted[row['problem_id']]['answer'])}"
    assert in_set(run, planted) == {}
    kept, refused, corrected, open_one = sorted(planted)
    decide(
        lake,
        [
            Decided(kept, "suspect_reference", "keep", "ann"),
            Decided(refused, "suspect_reference", "refuse", "ann"),
            Decided(corrected, "suspect_reference", f"answer={1 - int(planted[corrected]['answer'])}", "ann"),
        ],
        run_id=new_run_id(),
    )
    before = run.asked
    run.context = run.context.__class__(
        **{**run.context.__dict__, "profile": run.context.profile.with_changes({"curation.max_pass_rate": 1.0})}
    )
    run.run()
    assert run.asked <= before + 8 * 2  # no answer is drawn again; a corrected problem may be guessed once more
    reasons = {row["problem_id"]: row["reason_code"] for row in lake.read(tables.REFERENCE_CHECKS).to_pylist()}
    assert [reasons[one] for one in (kept, refused, corrected, open_one)] == [
        "reference_confirmed",
        "reference_refused",
        "reference_corrected",
        "suspect_reference",
    ]
    rates = {row["problem_id"]: row for row in lake.read(tables.DIFFICULTY).to_pylist()}
    assert rates[kept]["correct"] == 0
    assert rates[corrected]["correct"] >= 6  # the same samples, judged anew
    members = in_set(run, planted)
    assert set(members) <= {kept, corrected}
    if corrected in members:
        assert members[corrected] == str(1 - int(planted[corrected]["answer"]))


def in_set(run: Curation, problem_ids: Any) -> dict[str, str]:
    rows = run.context.lake.rows(
        "select problem_id, answer from prompt_set qualify version = max(version) over (partition by prompt_set)"
    )
    return {row["problem_id"]: row["answer"] for row in rows if row["problem_id"] in problem_ids}


def test_two_sources_that_disagree_are_a_question(curation: Callable[..., Curation], tmp_path: Any) -> None:
    for name, answer in (("one", "4"), ("two", "5")):
        rows = [f'{{"prompt": "What is 2 + 2, written as a number?", "answer": "{answer}"}}']
        rows += [f'{{"prompt": "What is {n} + 1, written as a number?", "answer": "{n + 1}"}}' for n in range(5)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    sources = [str(tmp_path / f"{name}.jsonl") for name in ("one", "two")]
    run = curation(corpora__sources=sources)
    run.run("reference_checks")
    (asked,) = waiting(run.context.lake, "suspect_reference")
    assert asked["proposed"] == "answer=5"
    assert '"rows": ["one:1", "two:1"]' in asked["evidence"]
    (suspect,) = run.context.lake.rows("select evidence from ledger where reason_code = 'suspect_reference'")
    for evidence in (json.loads(asked["evidence"]), json.loads(suspect["evidence"])):
        assert evidence["answer_digest"] == digest("5") and "answer" not in evidence  # no erasure reaches the ledger
