"""Does a statement allow several right outputs? Such a problem needs a special judge, and agreement says nothing of it.

Belongs here: the rules, each with its name as evidence; a checker that comes with a problem is one more. Does not belong
here: ambiguity that nobody meant (agreement finds that), floats with a tolerance (one output, compared with a bound).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kimi_pipeline.corpora.coding_problem import CodingProblem

RULE = "special_judge@1"
INTERACTIVE = "interactive"
SUPPLIED = "checker_supplied"

_SEVERAL = r"(?:several|multiple|many|more than one)"
_PRINT = r"(?:print|output|give|find|report|write|construct|choose|return)s?"
_SOLUTION = (
    r"(?:solutions?|answers?|orders?|orderings?|arrangements?|permutations?|pairs?|ways?|paths?|routes?|one|strings?|sets?"
    r"|partitions?|of (?:them|these|those))"
)
_FITTING = r"(?:(?:valid|correct|possible|optimal|suitable|such) )*"

_RULES: dict[str, str] = {
    "any_of_them": rf"\b{_PRINT}\b[^.]{{0,60}}\bany {_FITTING}{_SOLUTION}\b",
    "any_accepted": r"\bany\b[^.]{0,50}\b(?:will be|is|are|would be) (?:accepted|allowed|fine|considered correct|ok)\b",
    "several_print_any": rf"\bif there (?:are|is|exists?) {_SEVERAL}\b[^.]{{0,80}}\b{_PRINT} any\b",
    "several_accepted": rf"\b(?:{_SEVERAL}|all) {_FITTING}(?:solutions|answers|outputs)\b[^.]{{0,40}}\b(?:accepted|allowed)\b",
    "in_any_order": r"\bin (?:any|arbitrary) order\b",
    INTERACTIVE: r"\b(?:this is an interactive|interactive problem|flush the output)\b",
    "checker": r"\b(?:special judge|checker (?:program|will|checks|decides)|output (?:will be|is) (?:checked|verified) by)\b",
}
_COMPILED = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _RULES.items()}

_INPUT_ORDER = re.compile(
    r"\b(?:given|listed|come|comes|appear|follow|described)\b[^.]{0,40}$|\binput\b[^.]*$", re.IGNORECASE
)
"""Before "in any order": it is the input that comes so, and the output may still be one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`rule` and the span of the statement that it saw (empty where none did)."""

    needed: bool
    rule: str = ""
    at: str = ""


def detect(statement: str) -> Finding:
    """The first rule that sees a freedom in the output."""
    text = " ".join(statement.split())
    for name, pattern in _COMPILED.items():
        for match in pattern.finditer(text):
            if name == "in_any_order" and _INPUT_ORDER.search(text[max(0, match.start() - 60) : match.start()]):
                continue
            return Finding(True, name, match.group()[:120])
    return Finding(False)


def of(problem: CodingProblem) -> Finding:
    """What the statement says; else a checker that comes with the problem says the same."""
    finding = detect(problem.statement)
    if finding.needed or problem.checker is None:
        return finding
    return Finding(True, SUPPLIED, "checker.py")


def checkable(problem: CodingProblem) -> bool:
    """Whether an output alone can be judged: the output of an interactive problem says nothing without its conversation."""
    return not _COMPILED[INTERACTIVE].search(" ".join(problem.statement.split()))
