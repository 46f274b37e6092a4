from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimi_pipeline import tables
from kimi_pipeline.corpora.answers import answer_kind, final_answer
from kimi_pipeline.corpora.formats import Bounds, parse_line
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.corpora.normalise import Normaliser, Refusal
from kimi_pipeline.corpora.sources import Fields, Source, load_sources
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import Problem
from kimi_pipeline.stages import Context, run_stage

SOURCE = Source(name="s", kind="jsonl", path="x", fields=Fields(prompt="question", answer="answer", id="id"))


def jsonl(path: Path, *rows: object) -> Path:
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


def ingest(make_context: Callable[..., Context], *sources: Path, **settings: object) -> Context:
    context = make_context(corpora__sources=[str(s) for s in sources], **settings)
    run_stage(CORPUS, context, {})
    return context


def test_bad_rows_go_to_quarantine_and_counts_add_up(make_context: Callable[..., Context], tmp_path: Path) -> None:
    good = {"id": 1, "question": "What is 1 + 1?", "answer": "so 1 + 1 = 2\n#### 2"}
    file = jsonl(
        tmp_path / "mixed.jsonl",
        good,
        {"id": 1, "question": "What is 2 + 2?", "answer": "4"},
        {"id": 2, "question": "x" * 2_000_000, "answer": "4"},
        {"id": 3, "question": " \n", "answer": "4"},
        {"id": 4, "question": None, "answer": "4"},
        {"id": 5, "question": "q", "answer": None},
        {"id": 6, "question": ["q"], "answer": "4"},
        b'{"id": 7, "question": "caf\xe9", "answer": "4"}',
        b'{"id": 8, "question": ',
        b"[1, 2]",
        {"id": 9, "question": "q" + chr(0xD800), "answer": "4"},
        {"id": 10, "question": "How many?", "answer": float("nan")},
    )
    context = ingest(make_context, file)
    assert context.lake.rows("select answer, answer_kind from problems") == [{"answer": "2", "answer_kind": "integer"}]
    reasons = {r["source_row"]: r["reason_code"] for r in context.lake.rows("select * from quarantine")}
    assert reasons == {
        "2": "duplicate_source_id",
        "3": "too_long",
        "4": "empty_prompt",
        "5": "missing_prompt",
        "6": "missing_answer",
        "7": "wrong_type",
        "8": "invalid_utf8",
        "9": "invalid_json",
        "10": "not_an_object",
        "11": "invalid_utf8",
        "12": "missing_answer",
    }


def test_formats_agree(make_context: Callable[..., Context], tmp_path: Path) -> None:
    rows = [{"question": f"What is {k} + 1?", "answer": str(k + 1)} for k in range(30)]
    one = jsonl(tmp_path / "one.jsonl", *rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "two.parquet")
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "hub" / "train-00000.parquet"))
    declared = tmp_path / "three.toml"
    declared.write_text(
        f'[[source]]\nname = "three"\nkind = "hub"\npath = "{tmp_path / "hub"}"\nlicence = "MIT"\n'
        '[source.fields]\nprompt = "question"\nanswer = "answer"\n'
    )
    context = ingest(make_context, one, tmp_path / "two.parquet", declared)
    found = context.lake.rows(
        "select source, count(distinct problem_id) n, any_value(licence) l from problems group by 1 order by 1"
    )
    assert found == [
        {"source": "one", "n": 30, "l": "unknown"},
        {"source": "three", "n": 30, "l": "MIT"},
        {"source": "two", "n": 30, "l": "unknown"},
    ]
    assert context.lake.rows("select count(distinct problem_id) n from problems")[0]["n"] == 30


def test_images_travel_with_their_problem(make_context: Callable[..., Context], tmp_path: Path) -> None:
    rows = [
        {"question": "What is shown?", "answer": "a cat", "image": {"bytes": b"\x89PNG" + bytes([k]), "path": None}}
        for k in (1, 2)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pictures.parquet")
    declared = tmp_path / "pictures.toml"
    declared.write_text(
        '[[source]]\nname = "pictures"\nkind = "parquet"\npath = "pictures.parquet"\n'
        '[source.fields]\nprompt = "question"\nanswer = "answer"\nimages = "image"\n'
    )
    context = ingest(make_context, declared)
    found = context.lake.rows("select problem_id, images from problems")
    assert len({row["problem_id"] for row in found}) == 2  # the picture is part of the identity
    assert found[0]["images"][0]["media_type"] == "image/png"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda p: None, ["does not exist"]),
        (lambda p: p.write_text(""), ["no readable row"]),
        (lambda p: jsonl(p, {"foo": 1}), ["no column looks like the prompt", "foo"]),
        (lambda p: jsonl(p, {"question": "q"}), ["no column looks like the answer"]),
    ],
)
def test_unfit_files_are_refused_in_one_line(
    make_context: Callable[..., Context], tmp_path: Path, write: Callable[[Path], object], words: list[str]
) -> None:
    path = tmp_path / "file.jsonl"
    write(path)
    context = make_context(corpora__sources=[str(path)])
    with pytest.raises(UserError) as error:
        run_stage(CORPUS, context, {})
    assert all(word in str(error.value) for word in [*words, "file.jsonl"])
    assert "\n" not in str(error.value)
    assert not context.lake.exists(tables.PROBLEMS)


def test_a_wrong_mapping_names_the_columns_and_writes_nothing(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    jsonl(tmp_path / "data.jsonl", {"q": "What?", "a": "1"})
    declared = tmp_path / "s.toml"
    declared.write_text(
        '[[source]]\nname = "d"\nkind = "jsonl"\npath = "data.jsonl"\n[source.fields]\nprompt = "question"\nanswer = "a"\n'
    )
    good = jsonl(tmp_path / "good.jsonl", {"question": "What is 1?", "answer": "1"})
    context = make_context(corpora__sources=[str(good), str(declared)])
    with pytest.raises(UserError, match=r"source d: no column 'question' for prompt \(columns: a, q\)"):
        run_stage(CORPUS, context, {})
    assert not context.lake.exists(tables.PROBLEMS)


def test_source_files_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[[source]]\nname = "d"\nkind = "xml"\n')
    with pytest.raises(UserError, match="kind"):
        load_sources([str(path)])
    path.write_text("[[source]\n")
    with pytest.raises(UserError, match=r"s\.toml"):
        load_sources([str(path)])
    with pytest.raises(UserError, match="two sources are named"):
        load_sources(["builtin", "builtin"])


def test_the_limit_holds_over_all_sources(make_context: Callable[..., Context], tmp_path: Path) -> None:
    files = [
        jsonl(tmp_path / f"{n}.jsonl", *({"question": f"{n} {k}?", "answer": "1"} for k in range(8))) for n in "ab"
    ]
    context = ingest(make_context, *files, corpora__limit=10)
    counts = context.lake.rows("select source, count(*) n from problems group by 1 order by 1")
    assert counts == [{"source": "a", "n": 8}, {"source": "b", "n": 2}]


@given(
    st.dictionaries(
        st.sampled_from(["question", "answer", "id", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            st.lists,
            max_leaves=4,
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_row_becomes_a_problem_or_a_refusal(values: dict) -> None:
    result = Normaliser(SOURCE, Bounds(1000))(parse_line("1", json.dumps(values).encode()))
    assert isinstance(result, Problem | Refusal)
    if isinstance(result, Problem):
        assert result.prompt == values["question"]
        assert result.answer


@given(st.binary(max_size=200))
def test_any_bytes_are_read(line: bytes) -> None:
    raw = parse_line("1", line)
    assert (raw.values is None) == (raw.problem is not None)


@pytest.mark.parametrize(
    ("answer", "final", "kind"),
    [
        ("48/2 = 24\n#### 72", "72", "integer"),
        ("so it is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}", "rational"),
        ("3/4", "3/4", "rational"),
        ("2.50", "2.50", "real"),
        ("(3, \\frac{\\pi}{2})", "(3, \\frac{\\pi}{2})", "tuple"),
        ("[0, 1)", "[0, 1)", "interval"),
        ("x^2 - 4", "x^2 - 4", "expression"),
        ("KBFAEJ", "KBFAEJ", "text"),
        ("0042", "0042", "integer"),
    ],
)
def test_answers(answer: str, final: str, kind: str) -> None:
    assert final_answer(answer) == final
    assert answer_kind(final) == kind
