"""Problem: what the whole pipeline is about, its identity and its held-out split.

Belongs here: the row types `Problem`, `Image`, `Submission`, the content hash that is a problem's id, the split by hash.
Does not belong here: the form in which two texts are equal (`identity.py`), reading problems from sources (`corpora/`),
verdicts on them (`curation/`), their tables (`tables/`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from kimi_pipeline import identity
from kimi_pipeline.digests import digest

AnswerKind = Literal[
    "integer",
    "rational",
    "real",
    "expression",
    "set",
    "interval",
    "tuple",
    "matrix",
    "text",
    "free_form",
    "code",
    "scored",
    "none",
]
ANSWER_KINDS: tuple[str, ...] = get_args(AnswerKind)
MANY_ANSWERS = ("code", "scored")
"""Kinds of which a problem has many right answers: no two of them are the same answer, only a judge of their own tells."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a prompt: its bytes and media type (`image/png`)."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """A program handed in for a coding problem. `verdict` is `accepted` or a known bug's name."""

    language: str
    program: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One source row in the project's own form.

    `problem_id` depends on the prompt's normalised text and images alone: two rows with one id are exact duplicates,
    and two answers for one id are a conflict that can be seen. `labels` are the source's own (type, level, grade);
    `planted` says, for built-in rows only, what the row was made to be.
    """

    source: str
    source_row: str
    prompt: str
    answer: str
    answer_kind: str
    domain: str | None = None
    discipline: str | None = None
    language: str = "en"
    licence: str = "unknown"
    options: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    submissions: tuple[Submission, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    planted: str | None = None

    @property
    def problem_id(self) -> str:
        return problem_id(self.prompt, self.images, self.options)

    def row(self) -> dict[str, Any]:
        """The row of the `problems` table."""
        row = asdict(self) | {"problem_id": self.problem_id}
        row["labels"] = list(self.labels.items())
        return row


def problem_id(prompt: str, images: tuple[Image, ...] = (), options: tuple[str, ...] = ()) -> str:
    """The content hash that is a problem's id (32 hexadecimal digits). Options count: "Which of these is true?" is another
    question with other ones, and a question without them is another than the one with them."""
    content: dict[str, Any] = {
        "prompt": identity.normalise_for_identity(prompt),
        "images": [digest(image.data) for image in images],
    }
    if options:
        content["options"] = [identity.normalise_for_identity(option) for option in options]
    return digest(content)


def is_held_out(problem_id: str, share: float) -> bool:
    """Whether a problem belongs to the held-out split: its id alone decides, so that no run can move it."""
    return int(problem_id[:8], 16) / 0x1_0000_0000 < share
