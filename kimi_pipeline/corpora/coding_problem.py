"""CodingProblem: a statement, its limits, programs handed in for it, and how its inputs are made and checked.

Belongs here: the types, the rows they become, ids. Does not belong here: where problems come from (`coding_library.py`,
`testcases/collecting.py`), running anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kimi_pipeline.digests import digest
from kimi_pipeline.problems import problem_id

ACCEPTED, WEAK, WRONG = "accepted", "weak", "wrong"
"""What is known of a submission: right; right on weak tests alone; wrong. The last two carry their bug's name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A submission. `label` is `accepted`, `weak: BUG` or `wrong: BUG`; `name` is what its source calls it."""

    language: str
    source: str
    label: str
    name: str = ""

    @property
    def submission_id(self) -> str:
        """Of language and text alone: the same program twice is one submission."""
        return digest([self.language, self.source])

    @property
    def kind(self) -> str:
        return self.label.partition(":")[0]

    @classmethod
    def of(cls, submission: Mapping[str, Any]) -> Program:
        """A submission of a corpus: whatever is not `accepted` is a known bug's name."""
        verdict = submission["verdict"]
        known = verdict == ACCEPTED or verdict.partition(":")[0] in (WEAK, WRONG)
        return cls(submission["language"], submission["program"], verdict if known else f"{WRONG}: {verdict}")


@dataclass(frozen=True, slots=True)
class CodingProblem:
    """`float_tolerance` is set where the statement allows one. `generator`, `validator` and `checker` are programs that come
    with the problem (None: none does); `planted` says, for built-in problems, what the problem was made to be."""

    source: str
    name: str
    title: str
    statement: str
    domain: str
    programs: tuple[Program, ...]
    time_limit_s: float = 2.0
    memory_limit_mb: int = 256
    float_tolerance: float | None = None
    generator: str | None = None
    validator: str | None = None
    checker: str | None = None
    planted: str | None = None

    @property
    def problem_id(self) -> str:
        return problem_id(self.statement)

    def of_kind(self, kind: str) -> list[Program]:
        """Distinct submissions of a kind, by id."""
        found = {one.submission_id: one for one in self.programs if one.kind == kind}
        return [found[key] for key in sorted(found)]

    def row(self) -> dict[str, Any]:
        """The row of `coding_problems`, without its verdict."""
        programs = [{"language": one.language, "program": one.source, "verdict": one.label} for one in self.programs]
        return {
            "problem_id": self.problem_id,
            "source": self.source,
            "name": self.name,
            "title": self.title,
            "statement": self.statement,
            "domain": self.domain,
            "time_limit_s": self.time_limit_s,
            "memory_limit_mb": self.memory_limit_mb,
            "float_tolerance": self.float_tolerance,
            "submissions": programs,
            "generator": self.generator,
            "validator": self.validator,
            "checker": self.checker,
            "planted": self.planted,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> CodingProblem:
        fields = ("source", "name", "title", "statement", "domain", "time_limit_s", "memory_limit_mb")
        more = ("float_tolerance", "generator", "validator", "checker", "planted")
        programs = tuple(Program.of(one) for one in row["submissions"] or ())
        return cls(**{name: row[name] for name in (*fields, *more)}, programs=programs)
