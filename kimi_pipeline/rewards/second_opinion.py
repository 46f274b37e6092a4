"""What rules are told by another judge where they abstain: the question put to it and its opinion.

Belongs here: the two types and the protocol. Does not belong here: any judge (`reward_models/`), who asks (`by_kind.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """A response to a question, to be held against the reference answer."""

    question: str
    reference: str
    response: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """Whether a response is correct; None where the judge can't say, `reason` then says why.

    `failed`: that was our side's fault (no process, no answer), not the response's. `share` of the votes that found it
    correct; `tokens` and `seconds` are its cost; `evidence` is what the judge wrote, a text a vote.
    """

    correct: bool | None
    reason: str | None = None
    failed: bool = False
    share: float | None = None
    judge: str = ""
    tokens: int = 0
    seconds: float = 0.0
    evidence: tuple[str, ...] = ()


class SecondOpinion(Protocol):
    """Judges many at once. It does not raise: what fails is an opinion that says so."""

    @property
    def version(self) -> str: ...

    def judge(self, questions: Sequence[Question]) -> list[Opinion]: ...
