"""The code reward: a response's program against its problem's validated suite, 0 or 1 [2.3.5].

Belongs here: finding the program in a response, running the suite, the breakdown. Does not belong here: how suites come to be
(`testcases/`), comparing outputs (`outputs.py`), the sandbox itself (`sandbox/`).

Outputs are compared with the agreed ones, or given to the suite's checker where several are right. The cases come cheapest
killer first and the first failure ends a program's run. A failure of the sandbox is ours: the response is then excluded,
never 0.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kimi_pipeline.rewards.checker import ACCEPTED, FAILED, Checker, NoVerdict
from kimi_pipeline.rewards.contract import Breakdown, Reference, Response, Status
from kimi_pipeline.rewards.outputs import comparison, normalise
from kimi_pipeline.rewards.together import Together
from sandbox import Limits, Outcome, Sandbox, SandboxInputError, Verdict

RULE = "code@1"
KEPT = 50_000  # verdicts that are kept

CODE = tuple(
    f"kimi_pipeline.rewards.{name}"
    for name in ("by_kind", "checker", "code", "outputs", "own_judges", "reasoning_gym", "serving", "together")
)
"""The modules that a verdict depends on, for the fingerprints of stages."""

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
    """A problem's cases in the order in which they are run, and the limits of one run. `together`: a Python program runs
    all of them in one process (`together.py`). `checker`: the program that judges outputs (`checker.py`); None: they are
    compared."""

    problem_id: str
    cases: tuple[SuiteCase, ...]
    float_tolerance: float | None = None
    limits: Limits = field(default_factory=Limits)
    together: bool = False
    checker: str | None = None


Judge = Callable[[SuiteCase, str], str]
"""Why an output is not right for a case; empty where it is."""


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

    Verdicts on programs are kept: the same program again costs nothing. `suites` may give more than it is asked for.
    """

    def __init__(self, suites: Mapping[str, Suite], box: Sandbox, *, parallel: int = 2, bare: bool = False) -> None:
        self._suites, self._box, self._parallel, self._bare = suites, box, parallel, bare
        self._together = Together(box)
        self._known: OrderedDict[tuple[str, CodeAnswer], Breakdown] = OrderedDict()
        self._lock = threading.Lock()
        self.version = RULE

    def score(self, reference: Reference, group: Sequence[Response]) -> list[Breakdown]:
        """[k]. Raises KeyError for a problem without a suite: it should never have been in the set."""
        suite = self._suites[reference.problem_id]
        answers = [extract_code(response.text, bare=self._bare) for response in group]
        distinct = list(dict.fromkeys(answer for answer in answers if answer is not None))
        judged = {one: known for one in distinct if (known := self._recall(suite, one)) is not None}
        fresh = [one for one in distinct if one not in judged]
        if len(fresh) == 1:
            judged[fresh[0]] = self._judge(suite, fresh[0])
        elif fresh:
            with ThreadPoolExecutor(self._parallel, thread_name_prefix="code-reward") as pool:
                judged |= dict(zip(fresh, pool.map(lambda answer: self._judge(suite, answer), fresh), strict=True))
        self._keep(suite, {one: judged[one] for one in fresh})
        return [self._no_answer() if answer is None else judged[answer] for answer in answers]

    def _no_answer(self) -> Breakdown:
        return Breakdown(Status.NO_ANSWER, 0.0, "no_program", rule_version=self.version)

    def _recall(self, suite: Suite, answer: CodeAnswer) -> Breakdown | None:
        with self._lock:
            return self._known.get((suite.problem_id, answer))

    def _keep(self, suite: Suite, judged: Mapping[CodeAnswer, Breakdown]) -> None:
        with self._lock:
            for answer, verdict in judged.items():
                if verdict.status is not Status.INFRASTRUCTURE_ERROR:
                    self._known[suite.problem_id, answer] = verdict
            while len(self._known) > KEPT:
                self._known.popitem(last=False)

    def _judge(self, suite: Suite, answer: CodeAnswer) -> Breakdown:
        if suite.together and answer.language == "python":
            return self._judge_together(suite, answer)
        return self._judge_apart(suite, answer)

    def _judge_together(self, suite: Suite, answer: CodeAnswer) -> Breakdown:
        """One run for all cases; the first that fails is the failing one."""
        try:
            texts = [case.data.decode() for case in suite.cases]
            verdict, told = self._together.run(answer.source, texts)
        except SandboxInputError as error:
            return self._breakdown(Status.WRONG, 0.0, answer, 0, f"not_runnable: {error}")
        if verdict.outcome is Outcome.SANDBOX_ERROR:
            return self._broken(answer, 0, verdict.detail)
        same = comparison(suite.float_tolerance)
        for passed, case in enumerate(suite.cases):
            outcome, text = told[passed] if passed < len(told) else ("", "")
            trouble = outcome
            if outcome == Outcome.OK:
                output = normalise(text.encode("utf-8", "surrogatepass"))
                trouble = "not_utf8" if output is None else "" if same(case.expected, output) else "wrong_output"
            elif not outcome:  # the run ended early, or the program wrote past the one around it
                trouble = "wrong_output" if verdict.outcome is Outcome.OK else str(verdict.outcome)
            if trouble:
                return self._failed(answer, passed, trouble, case)
        return self._breakdown(Status.CORRECT, 1.0, answer, len(suite.cases), None)

    def _judge_apart(self, suite: Suite, answer: CodeAnswer) -> Breakdown:
        """Run the cases in order until one fails. Equal programs of a group are run once."""
        passed = 0
        try:
            verdicts = self._box.run(answer.source, answer.language, (case.data for case in suite.cases), suite.limits)
        except SandboxInputError as error:
            return self._breakdown(Status.WRONG, 0.0, answer, passed, f"not_runnable: {error}")
        with contextlib.closing(verdicts), self._judging(suite) as judge:  # type: ignore[type-var]
            for case, verdict in zip(suite.cases, verdicts, strict=False):
                if verdict.outcome is Outcome.SANDBOX_ERROR:
                    return self._broken(answer, passed, verdict.detail)
                try:
                    trouble = _trouble(verdict, case, judge)
                except NoVerdict as error:
                    return self._broken(answer, passed, str(error))
                if trouble:
                    return self._failed(answer, passed, trouble, case)
                passed += 1
        return self._breakdown(Status.CORRECT, 1.0, answer, passed, None)

    @contextlib.contextmanager
    def _judging(self, suite: Suite) -> Iterator[Judge]:
        """What judges the outputs of one program."""
        if suite.checker is None:
            same = comparison(suite.float_tolerance)
            yield lambda case, output: "" if same(case.expected, output) else "wrong_output"
            return
        with Checker(self._box, suite.checker) as checker:

            def judge(case: SuiteCase, output: str) -> str:
                found = checker.check(case.data, output)
                return {ACCEPTED: "", FAILED: FAILED}.get(found.said, "wrong_output")

            yield judge

    def _broken(self, answer: CodeAnswer, passed: int, detail: str) -> Breakdown:
        """The sandbox failed: the response is excluded."""
        told = f"sandbox_error: {detail[:200]}"
        return self._breakdown(Status.INFRASTRUCTURE_ERROR, None, answer, passed, told)

    def _failed(self, answer: CodeAnswer, passed: int, trouble: str, case: SuiteCase) -> Breakdown:
        told = f"{trouble}: case {case.number}" + (f" ({case.stratum})" if case.stratum else "")
        return self._breakdown(Status.WRONG, 0.0, answer, passed, told, case.number)

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


def _trouble(verdict: Verdict, case: SuiteCase, judge: Judge) -> str:
    """Why a run does not give a right output; empty where it does. Raises NoVerdict as a checker does."""
    if verdict.outcome is not Outcome.OK:
        return str(verdict.outcome)
    output = normalise(verdict.stdout)
    if output is None:
        return "not_utf8"
    return judge(case, output)
