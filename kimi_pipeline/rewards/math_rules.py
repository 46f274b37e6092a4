"""Rule-based reward for mathematics and other problems with one exact answer [2.3.1]: r in {0, 1}.

Belongs here: what a verdict is worth; the names by which others use the rules. Does not belong here: finding the answer
in a response (`extraction.py`), the verdict (`verifier.py` and what it calls), shaping, reward models.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.extraction import boxed, extract_answer
from kimi_pipeline.rewards.numbers import LONGEST_NUMBER, as_number, canonical, clean
from kimi_pipeline.rewards.rules import same_answer
from kimi_pipeline.rewards.verifier import VERSION, Verdict, Verifier, shared_verifier

__all__ = [
    "CODE",
    "LONGEST_NUMBER",
    "VERSION",
    "MathReward",
    "as_number",
    "boxed",
    "canonical",
    "clean",
    "extract_answer",
    "same_answer",
]

CODE = tuple(
    f"kimi_pipeline.rewards.{name}"
    for name in (
        "arithmetic", "extraction", "math_rules", "numbers", "pool", "rules", "structures", "symbolic", "units", "verifier",
        "words", "worker", "worker_process",
    )
)  # fmt: skip
"""The modules that a verdict depends on, for the fingerprints of stages."""


class MathReward:
    """r = 1 for the reference's answer, else 0; a response cut before its end has given no answer.

    A failure on our side has no reward (None): the response is excluded. By default all share the process's verifier.
    """

    version = VERSION

    def __init__(self, verifier: Verifier | None = None) -> None:
        self._verifier = verifier

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        answers = [extract_answer(response.text) if response.finished else None for response in group]
        verifier = self._verifier or shared_verifier()
        verdicts = verifier.verify(reference.answer, answers, reference.answer_kind)
        return [_breakdown(verdict, answer) for verdict, answer in zip(verdicts, answers, strict=True)]


def _breakdown(verdict: Verdict, answer: str | None) -> Breakdown:
    if verdict.status is Status.INFRASTRUCTURE_ERROR:
        return Breakdown(verdict.status, None, verdict.reason, answer, rule_version=VERSION)
    reward = 1.0 if verdict.status is Status.CORRECT else 0.0
    return Breakdown(verdict.status, reward, verdict.reason, answer, {"correct": reward}, VERSION)
