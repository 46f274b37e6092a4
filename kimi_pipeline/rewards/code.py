"""The code reward: a response's program against its problem's validated suite, 0 or 1 [2.3.5].

Belongs here: finding the program in a response, running the suite, the breakdown. Does not belong here: how suites come to be
(`testcases/`), comparing outputs (`outputs.py`), the sandbox itself (`sandbox/`).

The cases come cheapest killer first and the first failure ends a program's run. A failure of the sandbox is ours: the
response is then excluded, never 0.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.outputs import comparison, normalise
from sandbox import Limits, Outcome, Sandbox, SandboxInputError, Verdict

RULE = "code@1"

_FENCE = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w+#-]*)[^\n]*\n(?P<body>.*?)^[ \t]*(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_LANGUAGES = {
    "": "python",
    "python": "python",
    "python3": "python",
    "py": "python",
    "cpp": "cpp",
    "c++": "cpp",
    "cc": "cpp",
    "javascript": "javascript",
    "js": "javascript",
    "bash": "bash",
    "sh": "bash",
}


@dataclass(frozen=True, slots=True)
class SuiteCase:
    """A case of a suite: its number in `suite_cases`, the input, and the agreed output (normalised)."""

    number: int
    data: bytes
    expected: str
    stratum: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A problem's cases in the order in which they are run, and the limits of one run."""

    problem_id: str
    cases: tuple[SuiteCase, ...]
    float_tolerance: float | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """A program as a response gives it."""

    language: str
    source: str


def extract_code(text: str, *, bare: bool = False) -> CodeAnswer | None:
    """The last closed block of code in a language that can be run; with `bare`, else the whole text as Python.

    A block that is not closed is no answer: the response was cut in the middle of it.
    """
    found = [
        CodeAnswer(_LANGUAGES[block["tag"].lower()], block["body"])
        for block in _FENCE.finditer(text)
        if block["tag"].lower() in _LANGUAGES and block["body"].strip()
    ]
    if found:
        return found[-1]
    return CodeAnswer("python", text) if bare and text.strip() and "```" not in text else None


class CodeReward:
    """A `Reward` over validated suites. `parallel` programs run at a time; `bare` as in `extract_code`.

    `cases_run` counts what was run, `cases_saved` what the first failure made needless.
    """

    def __init__(self, suites: Mapping[str, Suite], box: Sandbox, *, parallel: int = 2, bare: bool = False) -> None:
        self._suites, self._box, self._parallel, self._bare = suites, box, parallel, bare
        self.version = RULE
        self.cases_run = self.cases_saved = 0

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k]. Raises KeyError for a problem without a suite: it should never have been in the set."""
        suite = self._suites[reference.problem_id]
        answers = [extract_code(response.text, bare=self._bare) for response in group]
        distinct = list(dict.fromkeys(answer for answer in answers if answer is not None))
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="code-reward") as pool:
            judged = dict(zip(distinct, pool.map(lambda answer: self._judge(suite, answer), distinct), strict=True))
        return [self._no_answer() if answer is None else judged[answer] for answer in answers]

    def _no_answer(self) -> Breakdown:
        return Breakdown(Status.NO_ANSWER, 0.0, "no_program", rule_version=self.version)

    def _judge(self, suite: Suite, answer: CodeAnswer) -> Breakdown:
        """Run the cases in order until one fails. Equal programs of a group are run once."""
        same = comparison(suite.float_tolerance)
        passed = 0
        try:
            verdicts = self._box.run(answer.source, answer.language, (case.data for case in suite.cases), suite.limits)
        except SandboxInputError as error:
            return self._breakdown(Status.WRONG, 0.0, answer, passed, f"not_runnable: {error}")
        with contextlib.closing(verdicts):  # type: ignore[type-var]
            for case, verdict in zip(suite.cases, verdicts, strict=False):
                self.cases_run += 1
                if verdict.outcome is Outcome.SANDBOX_ERROR:
                    return self._breakdown(
                        Status.INFRASTRUCTURE_ERROR, None, answer, passed, f"sandbox_error: {verdict.detail[:200]}"
                    )
                trouble = _trouble(verdict, case, same)
                if trouble:
                    self.cases_saved += len(suite.cases) - passed - 1
                    told = f"{trouble}: case {case.number}" + (f" ({case.stratum})" if case.stratum else "")
                    return self._breakdown(Status.WRONG, 0.0, answer, passed, told, case.number)
                passed += 1
        return self._breakdown(Status.CORRECT, 1.0, answer, passed, None)

    def _breakdown(
        self,
        status: Status,
        reward: float | None,
        answer: CodeAnswer,
        passed: int,
        reason: str | None,
        failing_case: int | None = None,
    ) -> Breakdown:
        """`parts` holds what the verdict rests on: cases passed, and the number of the failing one."""
        parts: dict[str, Any] = {"cases_passed": float(passed)}
        if failing_case is not None:
            parts["failing_case"] = float(failing_case)
        return Breakdown(status, reward, reason, answer.source, parts, self.version)


def _trouble(verdict: Verdict, case: SuiteCase, same: Any) -> str:
    """Why a run does not give the expected output; empty where it does."""
    if verdict.outcome is not Outcome.OK:
        return str(verdict.outcome)
    output = normalise(verdict.stdout)
    if output is None:
        return "not_utf8"
    return "" if same(case.expected, output) else "wrong_output"
