"""The taxonomy: which domains and disciplines there are, and which labels of sources mean them.

Belongs here: reading `taxonomy.toml`, mapping a label to a tag, a label to a grade. Does not belong here: finding the tag
of a problem without a label (`tagging/`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kimi_pipeline.digests import file_digest

FILE = Path(__file__).with_name("taxonomy.toml")
OTHER = "other"
LONGEST_GRADE = 40  # characters; a longer label is no grade
_PREFIXES = ("high_school_", "college_", "middle_school_", "elementary_school_")
_NOT_WORD = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A place in the taxonomy. As text: `mathematics/geometry`."""

    domain: str
    discipline: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.discipline}"


def plain(label: str) -> str:
    """A label without case and punctuation: `Counting & Probability` is `counting_and_probability`."""
    return _NOT_WORD.sub("_", label.casefold().replace("&", " and ")).strip("_")


class Taxonomy:
    """Domains, disciplines and aliases of a file. `digest` names its content."""

    def __init__(self, path: Path = FILE) -> None:
        content = tomllib.loads(path.read_text())
        self.digest = file_digest(path)
        self.subject_labels: tuple[str, ...] = tuple(content["labels"]["subject"])
        self.grade_labels: tuple[str, ...] = tuple(content["labels"]["grade"])
        self.disciplines: dict[str, tuple[str, ...]] = {}
        self._disciplines: dict[tuple[str, str], Tag] = {}  # (domain, plain name): two domains may have an algebra
        self._labels: dict[str, Tag] = {}
        for domain, entry in content["domain"].items():
            self.disciplines[domain] = tuple(entry["disciplines"])
            for discipline, aliases in entry["disciplines"].items():
                for name in (discipline, *aliases):
                    self._disciplines[domain, plain(name)] = Tag(domain, discipline)
        for domain, entry in content["domain"].items():
            for name in (domain, *entry.get("aliases", [])):
                self._labels.setdefault(plain(name), Tag(domain, OTHER))
        for (_, name), tag in self._disciplines.items():
            if name != OTHER:
                self._labels.setdefault(name, tag)  # the first domain in the file wins

    @property
    def tags(self) -> list[Tag]:
        return [Tag(domain, discipline) for domain, names in self.disciplines.items() for discipline in names]

    def parse(self, text: str) -> Tag | None:
        """The tag that `domain/discipline` names (a domain alone: its `other`); None where there is no such tag."""
        domain, _, discipline = text.strip().partition("/")
        discipline = discipline or OTHER
        return Tag(domain, discipline) if discipline in self.disciplines.get(domain, ()) else None

    def place(self, domain: str | None, discipline: str | None = None) -> Tag | None:
        """The tag that a source's own domain and discipline mean; None where the taxonomy has no such domain.

        A discipline that the domain does not have becomes `other`: the domain still counts for the balance.
        """
        found = self.of_label(domain) if domain else None
        if found is None:
            return self.of_label(discipline) if discipline else None
        if discipline and (exact := self._disciplines.get((found.domain, plain(discipline)))):
            return exact
        return found

    def of_label(self, label: str) -> Tag | None:
        """The tag that a single label means: `Intermediate Algebra`, `high_school_physics`, `olympiads`."""
        name = plain(label)
        if name in self._labels:
            return self._labels[name]
        for prefix in _PREFIXES:
            if name.startswith(prefix) and (tag := self._labels.get(name.removeprefix(prefix))):
                return tag
        return None

    def subject(self, labels: Mapping[str, str]) -> Tag | None:
        """The tag that a source's labels mean, by the first label column that means one."""
        return next(
            (tag for name in self.subject_labels if name in labels and (tag := self.of_label(labels[name]))), None
        )

    def grade(self, labels: Mapping[str, str]) -> str | None:
        """`level 5` of a label level that says "Level 5", "5" or "5.0"; None where no label gives a grade.

        The label's name is kept: a level of 5 and a grade of 5 are on different scales.
        """
        for name in self.grade_labels:
            value = labels.get(name, "").strip().casefold()
            value = re.sub(rf"^{name}\b[\s:_-]*", "", value)
            value = re.sub(r"^(\d+)\.0+$", r"\1", value)
            if value and len(value) <= LONGEST_GRADE and value not in ("none", "null", "nan", "?"):
                return f"{name} {value}"
        return None


@cache
def taxonomy() -> Taxonomy:
    """The shipped taxonomy."""
    return Taxonomy()
