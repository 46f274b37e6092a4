"""Folders of coding problems: the built-in ones and a person's own, in one layout.

    NAME/problem.toml       title, domain, statement; time_limit_s, memory_limit_mb, float_tolerance, planted where wanted
    NAME/generator.py       prints one input (see `testcases/inside/generate.py`); may be missing
    NAME/validator.py       checks one input (see `testcases/inside/validate.py`); may be missing
    NAME/checker.py         judges one output where several are right (see `rewards/checker.py`); may be missing
    NAME/accepted/*         right programs, .py or .cpp
    NAME/weak/*, wrong/*    programs with a bug that the file's name tells

Belongs here: reading that layout, its problems as rows of a corpus. Does not belong here: judging what was read (`testcases/`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.corpora.coding_problem import ACCEPTED, WEAK, WRONG, CodingProblem, Program
from kimi_pipeline.corpora.formats import RawRow
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles import Profile

BUILTIN = Path(__file__).parents[1] / "testcases" / "builtin"
LANGUAGES = {".py": "python", ".cpp": "cpp"}
EVERY = "all"  # as testcases.problems: every built-in problem
_TEXTS = ("title", "domain", "statement")
_OPTIONAL = {"time_limit_s": float, "memory_limit_mb": int, "float_tolerance": float, "planted": str}


def builtin_problems(names: Sequence[str] = ()) -> list[CodingProblem]:
    """The built-in problems of those names (none: all). Raises UserError for a name that is not there."""
    there = sorted(folder.name for folder in BUILTIN.iterdir() if (folder / "problem.toml").is_file())
    for name in names:
        if name not in there:
            raise UserError(f"testcases.problems: no built-in problem {name!r}: choose from {', '.join(there)}")
    return [read_problem(BUILTIN / name, "builtin") for name in (names or there)]


def read_folder(folder: Path) -> list[CodingProblem]:
    """The problems of a folder of folders. Raises UserError that names what is missing or wrong."""
    found = sorted(path.parent for path in folder.glob("*/problem.toml"))
    if not found:
        raise UserError(f"testcases.folders: {folder} holds no NAME/problem.toml")
    return [read_problem(one, folder.name) for one in found]


def library(profile: Profile) -> list[CodingProblem]:
    """The problems that a profile names: built-in ones, then its folders'. Raises UserError as above."""
    named = profile.testcases.problems
    found = builtin_problems(() if named == [EVERY] else named) if named else []
    for name in profile.testcases.folders:
        found += read_folder(Path(name).expanduser())
    return found


def read_library(profile: Profile) -> Iterator[RawRow]:
    """Those problems as rows of a corpus."""
    for number, one in enumerate(library(profile), start=1):
        values = {name: one.row()[name] for name in ("statement", "domain", "submissions", "planted")}
        yield RawRow(str(number), values | {"row": f"{one.source}/{one.name}"})


def read_problem(folder: Path, source: str) -> CodingProblem:
    """One problem. Raises UserError that names the file and field."""
    file = folder / "problem.toml"
    try:
        values = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {error}") from error
    if unknown := sorted(values.keys() - {*_TEXTS, *_OPTIONAL}):
        raise UserError(f"{file}: unknown field {unknown[0]!r}: one of {', '.join([*_TEXTS, *_OPTIONAL])}")
    fields: dict[str, Any] = {name: _text(file, values, name) for name in _TEXTS}
    fields |= {name: _number(file, name, values[name], kind) for name, kind in _OPTIONAL.items() if name in values}
    programs = [one for kind in (ACCEPTED, WEAK, WRONG) for one in _programs(folder / kind, kind)]
    return CodingProblem(
        source=source,
        name=folder.name,
        programs=tuple(programs),
        generator=_read(folder / "generator.py"),
        validator=_read(folder / "validator.py"),
        checker=_read(folder / "checker.py"),
        **fields,
    )


def _text(file: Path, values: dict[str, Any], name: str) -> str:
    if not isinstance(values.get(name), str) or not values[name].strip():
        raise UserError(f"{file}: {name} is missing: give it as text")
    return str(values[name]).strip()


def _number(file: Path, name: str, value: Any, kind: type) -> Any:
    if kind is str and isinstance(value, str):
        return value
    if kind is str or isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise UserError(f"{file}: {name} is {value!r}: give {'a text' if kind is str else 'a number above 0'}")
    return kind(value)


def _programs(folder: Path, kind: str) -> list[Program]:
    files = sorted(path for path in folder.glob("*") if path.suffix in LANGUAGES)
    return [
        Program(
            LANGUAGES[path.suffix], _read(path) or "", kind if kind == ACCEPTED else f"{kind}: {path.stem}", path.stem
        )
        for path in files
    ]


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}): store it as UTF-8") from error
