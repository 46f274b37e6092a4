"""The contract of rewards: k responses of one problem in, one breakdown a response out.

Belongs here: `Response`, `Status`, `Breakdown`, the `Reward` protocol. Does not belong here: any rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Status(StrEnum):
    """What is known of a response. Only `correct` and `wrong` and `no_answer` are verdicts.

    `unverifiable`: the response's own content exceeds deadline or memory, or the rules can't decide; counted, watched
    and worth 0 where no reward model follows. `infrastructure_error`: ours, retried and then excluded, never 0.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    UNVERIFIABLE = "unverifiable"
    INFRASTRUCTURE_ERROR = "infrastructure_error"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a response is held against."""

    problem_id: str
    answer: str
    answer_kind: str


@dataclass(frozen=True, slots=True)
class Response:
    """One response of a group: its text, the length of the whole of it in tokens, and how it ended.

    `finished`: by itself. Otherwise it was cut, and `repeats` says whether that was for repeating itself [2.6.2].
    Raises ValueError for one that is both.
    """

    text: str
    tokens: int
    finished: bool = True
    repeats: bool = False

    def __post_init__(self) -> None:
        if self.finished and self.repeats:
            raise ValueError("a response that was stopped for repeating itself has not finished")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one judge said of a response: `part` names it (`rules`, `cot_rm`, `code`), `judge` is its version.

    `value` is what it is worth (None: nothing was said), `seconds` and `tokens` what it cost, `text` what it rests on, as
    JSON.
    """

    part: str
    judge: str
    status: Status
    reason: str | None
    value: float | None
    seconds: float = 0.0
    tokens: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The reward of one response, with its parts. `reward` is None where the response is excluded. `evidence`: who was asked,
    in order, where several judges may be."""

    status: Status
    reward: float | None
    reason: str | None = None
    extracted_answer: str | None = None
    parts: dict[str, float] = field(default_factory=dict)
    rule_version: str = ""
    evidence: tuple[Evidence, ...] = ()


class Reward(Protocol):
    """Scores a whole group at once: the length reward and the baseline are properties of a group."""

    version: str

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]: ...
