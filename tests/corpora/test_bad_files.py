"""Files that are cut off, broken, hostile or changing: one line that names them, or a quarantine row; the lake unharmed."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline import tables
from kimi_pipeline.corpora import ingest as ingest_module
from kimi_pipeline.corpora import streams
from kimi_pipeline.corpora.formats import Bounds, Chunk, chunks, rows
from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.corpora.sources import Fields, Source
from kimi_pipeline.errors import UserError
from kimi_pipeline.reasons import Reason
from kimi_pipeline.stages import Context, run_stage

ROWS = [{"question": f"What is {k} + {k}? {'word ' * 40}", "answer": str(2 * k)} for k in range(2_000)]
HALVES = st.lists(st.integers(1, 7), min_size=1, max_size=40)


def source(path: Path, kind: str) -> Source:
    return Source(name="s", kind=kind, path=str(path), fields=Fields(prompt="question", answer="answer"))  # type: ignore[arg-type]


def written(suffix: str) -> bytes:
    """The rows as a whole file of this kind."""
    jsonl = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    if suffix == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), sink)
        return sink.getvalue()
    if suffix == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["question", "answer"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(ROWS)
        return text.getvalue().encode()
    return {
        "jsonl": jsonl,
        "json": json.dumps(ROWS).encode(),
        "jsonl.gz": gzip.compress(jsonl),
        "jsonl.bz2": bz2.compress(jsonl),
        "jsonl.zst": pa.compress(jsonl, "zstd", asbytes=True),
    }[suffix]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "jsonl.gz", "jsonl.bz2", "jsonl.zst"])
def test_a_whole_file_is_read_and_a_cut_one_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file.{suffix}"
    kind = suffix.split(".", maxsplit=1)[0]
    path.write_bytes(written(suffix))
    assert [row.values for row in rows(source(path, kind), Bounds())] == ROWS
    path.write_bytes(written(suffix)[:-40])
    if suffix == "jsonl":  # nothing but its last line can tell; that one is kept, with a reason
        found = list(rows(source(path, kind), Bounds()))
        assert len(found) == len(ROWS)
        assert [row.problem for row in found if row.values is None] == [Reason.INVALID_JSON]
        return
    with pytest.raises(UserError, match=rf"file\.{suffix}.*(cut off|no whole|not a whole)") as error:
        list(rows(source(path, kind), Bounds()))
    assert "\n" not in str(error.value)


def test_a_compression_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
    with pytest.raises(UserError, match="compression bomb"):
        list(rows(source(path, "jsonl"), Bounds()))


def peak_of(code: str) -> int:
    """MiB that a fresh process held at most."""
    told = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{told}"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


READ = """
from kimi_pipeline.corpora.formats import Bounds, rows
from kimi_pipeline.corpora.sources import Fields, Source
from kimi_pipeline.errors import UserError
given = Source(name="s", kind="parquet", path={path!r}, fields=Fields(prompt="question", answer="answer"))
try:
    print(sum(1 for _ in rows(given, Bounds())))
except UserError as error:
    assert "compression bomb" in str(error)
"""


@pytest.mark.parametrize("dictionary", [True, False], ids=["dictionary", "pages"])
def test_a_parquet_bomb_is_refused_in_constant_memory(tmp_path: Path, dictionary: bool) -> None:
    table = pa.table({"question": ["x" * (1 << 20)] * 300, "answer": ["1"] * 300})  # 300 MiB of text
    bomb, small = tmp_path / "bomb.parquet", tmp_path / "small.parquet"
    pq.write_table(table, bomb, compression="zstd", use_dictionary=dictionary)
    pq.write_table(table.slice(0, 1), small)
    assert bomb.stat().st_size < 2 << 20
    with pytest.raises(UserError, match=r"bomb\.parquet expands more than 200-fold"):
        list(rows(source(bomb, "parquet"), Bounds()))
    assert peak_of(READ.format(path=str(bomb))) < peak_of(READ.format(path=str(small))) + 150


def test_texts_that_repeat_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "repeats.parquet"
    found = [{"question": "y" * 300_000 if k % 2 else None, "answer": str(k)} for k in range(100)]  # 15 MB, two chunks
    pq.write_table(pa.Table.from_pylist(found), path)
    read = list(rows(source(path, "parquet"), Bounds()))
    assert [row.values for row in read] == found
    assert [row.row for row in read] == [str(k) for k in range(1, 101)]


def test_a_row_of_100_mb_is_quarantined_with_its_beginning(
    make_context: Callable[..., Context], tmp_path: Path
) -> None:
    path = tmp_path / "wide.jsonl"
    with path.open("wb") as file:
        file.write(b'{"question": "What is 1 + 1?", "answer": "2"}\n{"question": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'", "answer": "1"}\n{"question": "What is 2 + 2?", "answer": "4"}\n')
    context = make_context(corpora__sources=[str(path)])
    figures = run_stage(CORPUS, context, {}).figures
    assert (figures["rows"], figures["problems"], figures["quarantined"]) == (3, 2, 1)
    (row,) = context.lake.rows("select source_row, reason_code, detail, octet_length(raw) n from quarantine")
    assert (row["source_row"], row["reason_code"]) == ("2", "too_long")
    assert str((100 << 20) + len('{"question": "", "answer": "1"}')) in row["detail"]
    assert row["n"] == streams.KEPT


def test_encodings_mixed_in_one_file(make_context: Callable[..., Context], tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    line = '{"question": "小明有多少个苹果？ %d", "answer": "5"}\n'
    path.write_bytes(b"\xef\xbb\xbf" + (line % 1).encode() + (line % 2).encode("gb18030") + (line % 3).encode())
    context = make_context(corpora__sources=[str(path)])
    run_stage(CORPUS, context, {})
    assert context.lake.rows("select source_row, language from problems order by 1") == [
        {"source_row": "1", "language": "zh"},
        {"source_row": "3", "language": "zh"},
    ]
    assert context.lake.rows("select source_row, reason_code from quarantine") == [
        {"source_row": "2", "reason_code": "invalid_utf8"}
    ]
    path.write_text(line % 1, encoding="utf-16")
    with pytest.raises(UserError, match="UTF-16"):
        list(rows(source(path, "jsonl"), Bounds()))


def test_nested_fields_are_mapped_by_dotted_paths(make_context: Callable[..., Context], tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "What is 1 + 1?"}], "reward_model": {"ground_truth": "2"}}
    (tmp_path / "verl.jsonl").write_text(json.dumps(row) + "\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "verl.parquet")
    entries = [
        f'[[source]]\nname = "{kind}"\nkind = "{kind}"\npath = "verl.{kind}"\n[source.fields]\n'
        'prompt = "prompt.0.content"\nanswer = "reward_model.ground_truth"\n'
        for kind in ("jsonl", "parquet")
    ]
    (tmp_path / "s.toml").write_text("\n".join(entries))
    context = make_context(corpora__sources=[str(tmp_path / "s.toml")])
    run_stage(CORPUS, context, {})
    assert context.lake.rows("select prompt, answer, count(*) n from problems group by all") == [
        {"prompt": "What is 1 + 1?", "answer": "2", "n": 2}
    ]


def content(context: Context) -> list[object]:
    """What the lake holds of sources, without who and when."""
    named = ("problems", "problem_id, source, source_row, prompt"), ("quarantine", "source, source_row, reason_code")
    return [context.lake.rows(f"select {columns} from {table} order by all") for table, columns in named]


@pytest.mark.parametrize("ends", ["vanishes", "changes"])
def test_a_source_that_ends_mid_run_leaves_the_lake_as_it_was(
    make_context: Callable[..., Context], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[:50]))
    context = make_context(corpora__sources=list(map(str, files)))
    run_stage(CORPUS, context, {})
    before = content(context)
    for file in files:
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[50:120]))

    def cut_short(given: Source, bounds: Bounds) -> Iterator[Chunk]:
        yield from chunks(given, bounds)
        if given.name == "b":
            files[1].unlink() if ends == "vanishes" else files[1].write_text(json.dumps(ROWS[0]) + "\n")

    monkeypatch.setattr(ingest_module, "chunks", cut_short)
    with pytest.raises(UserError, match=r"b\.jsonl"):
        run_stage(CORPUS, make_context(corpora__sources=list(map(str, files))), {})
    assert content(context) == before
    assert not list((context.home.root / "staging").iterdir())


def test_only_a_changed_source_is_read_again(make_context: Callable[..., Context], tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for place, file in enumerate(files):
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS[place * 5 : place * 5 + 5]))
    context = make_context(corpora__sources=list(map(str, files)))
    assert run_stage(CORPUS, context, {}).figures["sources_read"] == 2
    files[1].write_text("".join(json.dumps(row) + "\n" for row in ROWS[20:28]))
    figures = run_stage(CORPUS, make_context(corpora__sources=list(map(str, files))), {}).figures
    assert (figures["sources_read"], figures["rows"]) == (1, 13)
    runs = context.lake.rows("select source, count(distinct run_id) n, count(*) r from problems group by 1 order by 1")
    assert [(row["n"], row["r"]) for row in runs] == [(1, 5), (1, 8)]
    assert context.lake.exists(tables.SOURCE_READS)


def split(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        for size in sizes:
            if place < len(data):
                yield data[place : place + size]
                place += size


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=12), HALVES, st.integers(1, 12))
def test_lines_are_the_same_whatever_the_blocks(found: list[bytes], sizes: list[int], bound: int) -> None:
    data = b"".join(line + b"\n" for line in found)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:3] == b"\xef\xbb\xbf":
        return
    got = list(streams.lines(split(data, sizes), bound))
    sizes_seen = [piece.size if isinstance(piece, streams.TooLong) else len(piece[1]) for piece in got]
    assert sizes_seen == list(map(len, found))
    assert [piece[1] for piece in got if not isinstance(piece, streams.TooLong)] == [
        line for line in found if len(line) <= bound
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6), HALVES, st.sampled_from([None, 1]), st.booleans())
def test_elements_are_what_json_says(found: list[object], sizes: list[int], indent: int | None, plain: bool) -> None:
    data = json.dumps(found, indent=indent, ensure_ascii=plain).encode()
    got = list(streams.elements(split(data, sizes), 10_000))
    assert [json.loads(piece[1]) for piece in got if not isinstance(piece, streams.TooLong)] == found
    if found:
        with pytest.raises(streams.Cut):
            list(streams.elements(split(data[:-1], sizes), 10_000))


@given(st.lists(st.lists(st.text(alphabet='ab ,"\n', min_size=1, max_size=6), min_size=2, max_size=2)), HALVES)
def test_records_are_what_csv_says(found: list[list[str]], sizes: list[int]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(found)
    got = streams.records(streams.lines(split(text.getvalue().encode(), sizes), 10_000), 10_000)
    read = [next(csv.reader([piece[1].decode()])) for piece in got if not isinstance(piece, streams.TooLong)]
    assert read == found
