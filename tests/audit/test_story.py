"""The story of docs/story.md: two nights, five changes between them, and every changed problem under its true cause."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline.audit.diff import diff
from kimi_pipeline.audit.explain import explain
from kimi_pipeline.curation import evaluability
from kimi_pipeline.curation.deciding import decide_one
from kimi_pipeline.curation.withdrawing import withdraw_one
from kimi_pipeline.problems import problem_id
from kimi_pipeline.reasons import Reason
from tests.audit.small import Row, rows, small, write
from tests.audit.test_rebuild import fresh
from tests.curation.conftest import Curation

RULE = evaluability.RULE  # as it is before the story changes it
PLACES = 24
ACTOR = {"reason": "as agreed", "by": "ada"}


def model(learned: set[str], slipped: set[str]) -> Callable[[dict[str, Any], str, random.Random], str]:
    """Right in two of four answers; in all of what it has learned, in one of what slipped its mind. It guesses nothing."""
    asked: Counter[str] = Counter()

    def answer(row: dict[str, Any], purpose: str, rng: random.Random) -> str:
        one = row["problem_id"]
        asked[one] += 1
        right = asked[one] % 2 == 1
        if one in learned or one in slipped:
            right = one in learned or asked[one] == 1
        return f"\\boxed{{{row['answer'] if right and purpose == 'difficulty' else 'wrong'}}}"

    return answer


def ids(some: list[Row]) -> list[str]:
    return [problem_id(row["prompt"]) for row in some]


def test_two_nights(curation: Callable[..., Curation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, trains, farm = rows("boxes", 18), rows("trains", 8), rows("farm", 6)
    proof = {"prompt": "Prove that the sum of two even numbers is even.", "answer": "proof", "planted": None}
    settings = {"curation__max_size": PLACES}
    sources = write(tmp_path, ours=[*boxes, *trains, proof], scraped=farm)
    first = small(curation, sources, model(set(), set()), "first", **settings)
    first.run()
    lake, home = first.context.lake, first.context.home
    held = {row["problem_id"] for row in lake.rows("select problem_id from prompt_set")}
    assert len(held) == PLACES

    inside = [row for row in boxes if problem_id(row["prompt"]) in held]
    learned, slipped, banned, edited = set(ids(inside[:3])), set(ids(inside[3:5])), ids(inside)[5], inside[6]
    edited_id = problem_id(edited["prompt"])
    changed = edited | {"prompt": edited["prompt"].replace("pencils", "crayons")}
    write(tmp_path, ours=[changed if row is edited else row for row in [*boxes, *trains, proof]], scraped=farm)
    decide_one(lake, banned, "membership", "ban", **ACTOR)
    decide_one(lake, problem_id(proof["prompt"]), "membership", "keep", **ACTOR)
    withdraw_one(lake, home, "source", "scraped", **ACTOR)
    old_rule = evaluability.evaluate

    def new_rule(prompt: str, answer: str, *rest: Any, **named: Any) -> tuple[Reason, str]:
        return (Reason.OPEN_ENDED, "prompt:0-3") if "train" in prompt else old_rule(prompt, answer, *rest, **named)

    monkeypatch.setattr(evaluability, "evaluate", new_rule)
    monkeypatch.setattr(evaluability, "RULE", "evaluability@9")
    second = small(curation, sources, model(learned, slipped), "second", **settings)
    second.run()

    expected = dict.fromkeys(learned, ("removed", "difficulty", "checkpoint"))
    expected |= dict.fromkeys(slipped, ("moved", "difficulty", "checkpoint"))
    expected |= {banned: ("removed", "people", "person"), problem_id(proof["prompt"]): ("added", "people", "person")}
    expected |= {edited_id: ("removed", "ingest", "source"), ids([changed])[0]: ("added", "ingest", "source")}
    expected |= dict.fromkeys(held & set(ids(farm)), ("removed", "ingest", "source"))
    expected |= dict.fromkeys(held & set(ids(trains)), ("removed", "evaluability", "rule"))
    waited = set(ids(boxes)) - held
    expected |= dict.fromkeys(waited, ("added", "selection", "quota_displaced"))
    assert held & set(ids(farm)) and held & set(ids(trains)) and waited
    changes = {row["problem_id"]: row for row in diff(lake, "smoke@1", "smoke@2")["changes"]}
    assert {one: (row["change"], row["stage"], row["cause"]) for one, row in changes.items()} == expected

    said = {"checkpoint": "first -> second", "rule": f"{RULE} -> evaluability@9"}
    for one, row in changes.items():
        told = explain(lake, one)
        stages = {decision["stage"]: decision for decision in told["decisions"]}
        assert told["prompt"]
        assert f"smoke@{2 if row['change'] == 'added' else 1}" in told["sets"]
        if row["cause"] == "checkpoint":
            assert stages["difficulty"]["checkpoint"] == "second"
        elif row["cause"] == "rule":
            assert (stages["evaluability"]["reason_code"], stages["evaluability"]["actor"]) == (
                "open_ended",
                "evaluability@9",
            )
        elif row["cause"] == "person" or one in ids(farm):
            assert stages["people"]["actor"] == "person:ada"
            assert stages["people"]["evidence"]["reason"] == "as agreed"
        elif row["cause"] == "quota_displaced":
            assert row["moved_by"] and stages["selection"]["reason_code"] == "selected"
        assert said.get(row["cause"], row["detail"]) == row["detail"]

    one, two = (fresh(home.root, version) for version in ("smoke@1", "smoke@2"))
    assert one["equal"] and {row["how"] for row in one["tables"]} == {"recomputed"}
    assert two["equal"]  # under the rule that this process alone knew: its verdicts are taken as they were stored
    assert {row["table"]: row["why"] for row in two["tables"] if row["how"] == "as stored"} == {
        "evaluability": f"made under evaluability@9, this release has {RULE}"
    }
