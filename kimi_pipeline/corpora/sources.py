"""Sources: where corpora come from, declared in TOML files.

Belongs here: declarations (`Source`, `Fields`), what a source's content depends on. Does not belong here: reading rows
(`formats.py`), guessing which column holds what (`mapping.py`), turning a row into a Problem (`normalise.py`).

A source file holds one `[[source]]` a corpus (`kimi-pipeline sources check FILE` prints one):

    [[source]]
    name = "gsm8k"
    kind = "jsonl"                 # jsonl | json | csv | parquet | hub | reasoning_gym | builtin | coding
    path = "gsm8k_train.jsonl"     # relative to this file, or a URL; .gz, .zst and .bz2 too; for hub the dataset's name
    licence = "MIT"
    [source.fields]
    prompt = "question"
    answer = "answer"              # a dotted path reaches inside: reward_model.ground_truth, messages.0.content
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kimi_pipeline.corpora import streams
from kimi_pipeline.digests import digest, file_digest, folder_digest
from kimi_pipeline.errors import UserError
from kimi_pipeline.problems import AnswerKind
from kimi_pipeline.rewards.reasoning_gym import INDEX, SEED, SIZE, TASK

SHIPPED = Path(__file__).parent / "declared"
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
GENERATED = ("builtin", "coding")
FILES = ("jsonl", "json", "csv", "parquet")


class Fields(BaseModel):
    """Which column holds what, by name or dotted path. Only the prompt is always needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    answer: str | None = None
    id: str | None = None
    options: str | None = None
    domain: str | None = None
    discipline: str | None = None
    planted: str | None = None
    images: str | None = None
    submissions: str | None = None
    labels: list[str] = []

    def mapped(self) -> list[tuple[str, str]]:
        """(field, column) for every column that is named."""
        single = [(name, value) for name, value in self.model_dump(exclude={"labels"}).items() if value is not None]
        return [*single, *(("labels", column) for column in self.labels)]


GYM_FIELDS = Fields(prompt="question", answer="answer", discipline=TASK, labels=[TASK, SEED, SIZE, INDEX])


class Source(BaseModel):
    """One corpus. `path` is absolute once it was read from a file.

    `language` None: by the script of each prompt. `answer_format` says where in the answer's column the final answer
    stands (`answers.py`); `answer_kind` overrides what its form says, and is `none` for a corpus without answers.
    `rewrite`: the source holds, instead of its rows, multiple-choice questions of theirs turned into free form
    (`free_form.py`); declare it beside the plain one, under a name of its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    kind: Literal["jsonl", "json", "csv", "parquet", "hub", "reasoning_gym", "builtin", "coding"]
    path: str | None = None
    split: str = "train"
    subset: str | None = None
    revision: str | None = None
    licence: str = "unknown"
    language: str | None = None
    domain: str | None = None
    discipline: str | None = None
    answer_format: Literal["auto", "whole", "boxed", "hashes", "last_number"] = "auto"
    answer_kind: AnswerKind | None = None
    tasks: list[str] = []
    size: int = Field(100, ge=1)
    seed: int = Field(0, ge=0)
    rewrite: Literal["free_form"] | None = None
    fields: Fields = Fields(prompt="prompt", answer="answer")

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("kind") == "reasoning_gym":
            return {"answer_format": "whole", "answer_kind": "scored"} | values | {"fields": GYM_FIELDS}
        return values

    @model_validator(mode="after")
    def _whole(self) -> Source:
        if self.kind in (*FILES, "hub") and not self.path:
            raise ValueError("path is missing")
        if self.kind == "reasoning_gym" and not self.tasks:
            raise ValueError("tasks is empty: name tasks of reasoning-gym, such as basic_arithmetic")
        if self.fields.answer is None and self.fields.submissions is None and self.answer_kind != "none":
            raise ValueError("fields.answer is missing: map it, or say answer_kind = 'none'")
        return self

    def digest(self) -> str:
        """What the source's content depends on: its declaration and its bytes, or what its store says of them.

        A hub dataset that is no local folder is as new as its `revision` says.
        """
        declared = self.model_dump_json()
        if self.kind in FILES:
            return f"{declared}:{content_digest(str(self.path))}"
        if self.kind == "hub" and Path(str(self.path)).is_dir():
            return f"{declared}:{folder_digest(Path(str(self.path)))}"
        if self.kind == "reasoning_gym":
            from importlib.metadata import PackageNotFoundError, version

            try:
                return f"{declared}:{version('reasoning-gym')}"
            except PackageNotFoundError:
                raise UserError(
                    f"source {self.name} needs reasoning-gym: pip install 'kimi-pipeline[reasoning-gym]'"
                ) from None
        return declared


def content_digest(path: str) -> str:
    """The digest of a file's bytes; of a remote one what its store says (ETag, time, size), else its bytes as well."""
    if not streams.is_url(path):
        try:
            stat = Path(path).stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        return _bytes_digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    import fsspec

    try:
        store, inner = fsspec.core.url_to_fs(path)
        said = {name: store.info(inner).get(name) for name in ("ETag", "etag", "mtime", "LastModified", "size")}
    except Exception as error:  # each file system raises its own, all about this file
        raise UserError(f"{path} can't be read: {(str(error) or type(error).__name__).splitlines()[0]}") from None
    if any(said[name] is not None for name in ("ETag", "etag", "LastModified")):
        return digest(said)
    return digest([digest(block) for block in streams.raw_blocks(path)])


@cache
def _bytes_digest(path: str, size: int, changed: int, inode: int) -> str:
    """Once a process for each state of a file."""
    return file_digest(Path(path))


def load_sources(entries: list[str], *, answers: bool = True) -> list[Source]:
    """The sources behind a profile's entries: `builtin`, `coding`, source files (.toml) and plain data files or URLs.

    Raises UserError for a missing file, an unknown kind or field, two sources of one name; nothing is read but the
    first rows of plain data files, whose mapping is guessed; without `answers` a plain file may have none.
    """
    if not entries:
        raise UserError("no source: set corpora.sources, or give --source FILE")
    sources = [source for entry in entries for source in _load_entry(entry, answers)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two sources are named {name!r}: give each [[source]] a name of its own")
    return sources


def absolute(entry: str) -> str:
    """The entry as a process in any folder understands it: names of shipped sources and URLs as they are, paths in full."""
    return entry if entry in GENERATED or streams.is_url(entry) else str(Path(entry).expanduser().resolve())


def plain_source(entry: str) -> dict[str, Any]:
    """Name, kind and path of a data file, from its name alone. Raises UserError for a suffix that is not known."""
    path = absolute(entry)
    name = path.rsplit("/", 1)[-1]
    if streams.compression(name):
        name = name.rsplit(".", 1)[0]
    stem, dot, suffix = name.rpartition(".")
    kind = KINDS.get(dot + suffix)
    if kind is None:
        known = ", ".join(KINDS)
        raise UserError(f"source {entry}: {dot + suffix or 'no suffix'} is not known: use .toml, or {known} (also .gz)")
    if kind == "parquet" and streams.compression(path):
        raise UserError(f"source {entry}: Parquet is compressed inside; decompress the file")
    return {"name": "".join(c if c.isalnum() or c in "_.-" else "-" for c in stem), "kind": kind, "path": path}


def _load_entry(entry: str, answers: bool) -> list[Source]:
    path = SHIPPED / f"{entry}.toml" if entry in GENERATED else Path(absolute(entry))
    if not streams.is_url(entry) and not path.is_file():
        raise UserError(f"source {entry} does not exist: give a .toml source file, or a .jsonl, .csv or .parquet file")
    if path.suffix == ".toml" and not streams.is_url(entry):
        return _load_toml(path)
    from kimi_pipeline.corpora.mapping import guess_source

    return [guess_source(plain_source(entry), answers=answers)]


def _load_toml(path: Path) -> list[Source]:
    try:
        entries = tomllib.loads(path.read_text()).get("source", [])
        sources = [Source.model_validate(entry) for entry in entries]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"source file {path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"source file {path}: {where + ': ' if where else ''}{first['msg']}") from None
    if not sources:
        raise UserError(f"source file {path} declares no [[source]]")
    return [_placed(source, path) for source in sources]


def _placed(source: Source, declared: Path) -> Source:
    """The source with its path made absolute. Raises UserError where the file is not there."""
    if source.path is None or streams.is_url(source.path):
        return source
    data = (declared.parent / Path(source.path).expanduser()).resolve()
    if source.kind in FILES and not data.is_file():
        raise UserError(f"source {source.name}: {data} does not exist: mend path in {declared}")
    if source.kind in FILES or (source.kind == "hub" and data.is_dir()):
        return source.model_copy(update={"path": str(data)})
    return source
