from __future__ import annotations

from collections.abc import Callable

import pytest

from kimi_pipeline import tables
from kimi_pipeline.errors import UserError
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.stages import Context, Outcome, Stage, code_version, run_stage


def counting(name: str, calls: list[str], upstream: tuple[str, ...] = (), value: str = "v") -> Stage:
    def compute(context: Context) -> Outcome:
        calls.append(name)
        return Outcome(value, figures={"z": 1, "a": 2})

    return Stage(name, "d", "g", compute, upstream, settings=lambda c: {"limit": c.profile.corpora.limit})


def test_equal_inputs_compute_once(make_context: Callable[..., Context]) -> None:
    calls: list[str] = []
    one, two = counting("one", calls), counting("two", calls, ("one",))
    stages = {"one": one, "two": two}
    context = make_context()
    for _ in range(2):
        outcomes = [run_stage(stage, context, stages) for stage in (one, two)]
    assert calls == ["one", "two"]
    assert all(outcome.cached for outcome in outcomes)
    assert list(outcomes[0].figures) == ["z", "a"]  # the order is the order of importance
    changed = make_context(corpora__limit=3)
    run_stage(one, changed, stages)
    assert calls == ["one", "two", "one"]
    # back to the first settings: what the tables hold now is the other content, so it is computed again
    run_stage(one, context, stages)
    assert calls == ["one", "two", "one", "one"]


def test_a_profile_that_ran_in_between_leaves_nothing_unchanged(make_context: Callable[..., Context]) -> None:
    names = ("corpus", "evaluation_problems", "duplicates", "evaluability", "contamination")
    kept = (tables.PROBLEMS, tables.EVALUATION_PROBLEMS, tables.DUPLICATES)
    contexts = [
        make_context(name, corpora__sources=["builtin"], corpora__problems_per_family=n, corpora__evaluation_problems=n)
        for name, n in (("laptop", 8), ("smoke", 12))
    ]
    held, cached = [], []
    for context in (*contexts, contexts[0], contexts[0]):
        cached.append([run_stage(STAGES[name], context, STAGES).cached for name in names])
        held.append([context.lake.digest(table) for table in kept])
    assert held[0] != held[1] and held[2] == held[0]
    assert [any(one) for one in cached] == [False, False, False, True] and all(cached[3])


def test_stages_whose_tables_dont_name_the_profile_are_shared() -> None:
    told_apart = {"profile", "prompt_set", "checkpoint"}
    for stage in STAGES.values():
        if stage.tables and not told_apart & set(stage.tables[0].key):
            assert not stage.by_profile, stage.name


def test_another_upstream_version_recomputes(make_context: Callable[..., Context]) -> None:
    calls: list[str] = []
    two = counting("two", calls, ("one",))
    context = make_context()
    for value in ("v1", "v1", "v2"):
        one = counting("one", [], value=value)
        one = Stage(**{**one.__dict__, "code": () if value == "v1" else ("kimi_pipeline.errors",)})
        run_stage(one, context, {})
        run_stage(two, context, {"one": one})
    assert calls == ["two", "two"]


def test_missing_upstream_is_named(make_context: Callable[..., Context]) -> None:
    two = counting("two", [], ("one",))
    with pytest.raises(UserError, match="one has not been materialised"):
        run_stage(two, make_context(), {"one": counting("one", [])})


def test_code_version_ignores_comments_and_docstrings(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    versions = []
    for number, text in enumerate(
        [
            '"""Doc."""\nX = 1\n',
            "# a comment\nX = 1\n",
            'def f():\n    """Doc."""\n    return 1\n',
            "def f():\n    return 2\n",
            'X = 1\n"""What X is."""\n',
            'X = "a text that counts"\n',
        ]
    ):
        (tmp_path / f"kimi_tmp_{number}.py").write_text(text)
        versions.append(code_version((f"kimi_tmp_{number}",)))
    from kimi_pipeline import stages

    dumps = [stages.ast.dump(stages._without_docstrings(stages._source(f"kimi_tmp_{n}"))) for n in range(6)]
    assert dumps[0] == dumps[1] == dumps[4] != dumps[5]
    assert dumps[2] != dumps[3]
    assert len(set(versions)) == 6  # the module's name is part of it
