"""The table of languages: data in `languages.toml`, read and checked here.

Belongs here: `Language`, reading a table. Does not belong here: anything that knows one language by name.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxInputError

BUILT_IN = Path(__file__).with_name("languages.toml")
_COMMANDS = ("compile", "run", "packages", "preload")

PREPARED = "/opt/prepared"
"""Where a worker has what `prepare` made, a folder each, read-only. Compilers do without where one is missing."""


@dataclass(frozen=True, slots=True)
class Language:
    """One row of the table; `languages.toml` says what each field means."""

    name: str
    file: str
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    prepare: str = ""
    zygote: bool = False
    preload: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    time_factor: float = 1.0
    memory_factor: float = 1.0
    memory_extra_mb: int = 0
    packages: tuple[str, ...] = ()

    @property
    def prepared(self) -> str:
        """The folder of what `prepare` made. Another text gets another folder, so what an older one made is not taken for it."""
        return f"{PREPARED}/{self.name}-{hashlib.sha256(self.prepare.encode()).hexdigest()[:12]}"

    def as_dict(self) -> dict[str, Any]:
        """What the agent needs to know of it."""
        return {
            "name": self.name,
            "file": self.file,
            "compile": [word.replace("{prepared}", self.prepared) for word in self.compile],
            "run": list(self.run),
            "zygote": self.zygote,
            "environment": self.environment,
        }


def load(path: Path = BUILT_IN) -> dict[str, Language]:
    """The languages of a table, by name. Raises SandboxInputError that names the file, the language and the field."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SandboxInputError(f"{path}: cannot be read as a table of languages: {error}") from error
    return {name: _row(path, name, row) for name, row in table.items()}


@cache
def built_in() -> dict[str, Language]:
    """The table that comes with the library."""
    return load()


def find(name: str, table: Mapping[str, Language] | None = None) -> Language:
    """The row of that name. Raises SandboxInputError that lists the names there are."""
    table = built_in() if table is None else table
    if name not in table:
        raise SandboxInputError(f"language {name!r} is unknown: one of {', '.join(sorted(table))}")
    return table[name]


def _row(path: Path, name: str, row: Any) -> Language:
    where = f"{path}: [{name}]"
    if not isinstance(row, dict):
        raise SandboxInputError(f"{where} is not a table")
    known = {f.name for f in fields(Language)} - {"name"}
    if unknown := sorted(set(row) - known):
        raise SandboxInputError(f"{where} {unknown[0]} is no field: one of {', '.join(sorted(known))}")
    for required in ("file", "run"):
        if not row.get(required):
            raise SandboxInputError(f"{where} {required} is missing")
    for command in _COMMANDS:
        value = row.get(command, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise SandboxInputError(f"{where} {command} is {value!r}: give a list of words")
    if not isinstance(row.get("prepare", ""), str):
        raise SandboxInputError(f"{where} prepare is {row['prepare']!r}: give a text for a shell")
    if "/" in row["file"] or row["file"].startswith("."):
        raise SandboxInputError(f"{where} file is {row['file']!r}: give a plain file name")
    for factor in ("time_factor", "memory_factor"):
        if not (isinstance(row.get(factor, 1.0), int | float) and row.get(factor, 1.0) > 0):
            raise SandboxInputError(f"{where} {factor} is {row[factor]!r}: give a number above 0")
    if not (isinstance(row.get("memory_extra_mb", 0), int) and row.get("memory_extra_mb", 0) >= 0):
        raise SandboxInputError(
            f"{where} memory_extra_mb is {row['memory_extra_mb']!r}: give a whole number, 0 or more"
        )
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return Language(name=name, **values)
