"""Problems with several right outputs, readmitted by a checker: through the stages on a real sandbox, and what refuses one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from kimi_pipeline import tables
from kimi_pipeline.corpora.coding_library import builtin_problems, read_folder
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WRONG
from kimi_pipeline.inference.request import Completion, SampleRequest
from kimi_pipeline.lake import Lake
from kimi_pipeline.lineage import STAGES
from kimi_pipeline.rewards.code import CodeReward
from kimi_pipeline.rewards.contract import Reference, Response, Status
from kimi_pipeline.rewards.serving import load_suites
from kimi_pipeline.stages import Context, Outcome, run_stage
from kimi_pipeline.testcases.checking import CheckedRuns
from kimi_pipeline.testcases.execution import Asked
from kimi_pipeline.testcases.forms import FORMS
from kimi_pipeline.testcases.suites import READMITTED
from kimi_pipeline.testcases.writing_job import write_programs
from sandbox import Job, Sandbox, Verdict

BRANCH = [name for name, stage in STAGES.items() if stage.group == "testcases"]
SMALL = {
    "testcases__special_judge": "checker",
    "testcases__corpus": False,
    "testcases__mutants": 3,
    "testcases__further_inputs": 10,
    "corpora__problems_per_family": 10,
    "sandbox__backend": "bubblewrap",
}
FEW = {
    "testcases__problems": [],
    "testcases__cases": 6,
    "testcases__valid_cases": 5,
    "testcases__submissions": 4,
    "testcases__agree": 3,
    "testcases__passing": 4,
}

STATEMENT = "Print any divisor of n above 1; any of them is accepted. Input: n (2 <= n <= 5000). (Number {number}.)"
DIVISORS = {
    "accepted/least.py": "n = int(input())\nprint(next(d for d in range(2, n + 1) if n % d == 0))\n",
    "accepted/itself.py": "print(input())\n",
    "accepted/greatest.py": "n = int(input())\nprint(next((d for d in range(n - 1, 1, -1) if n % d == 0), n))\n",
    "accepted/second.py": "n = int(input())\nprint(([d for d in range(2, n) if n % d == 0] + [n])[-1])\n",
    "wrong/one.py": "print(1)\n",
    "wrong/next_number.py": "print(int(input()) + 1)\n",
    "wrong/crash.py": "print(1 // 0)\n",
    "generator.py": "print(12 * (NUMBER + 1) + len(STRATUM))\n",
    "validator.py": "ints(1, 2, 5000)\nend()\n",
}
RIGHT = "def check(given, output):\n    n, d = int(given), int(output)\n    return n % d == 0 and d > 1\n"
EMPTY_REFUSED = "def check(given, output):\n    return bool(output)\n"
CHECKERS: dict[str, tuple[str | None, str]] = {
    "right": (RIGHT, "readmitted"),
    "missing": (None, "no_checker"),
    "accepts everything": ("def check(given, output):\n    return True\n", "checker_too_lax"),
    "accepts all but nothing": (EMPTY_REFUSED, "checker_too_lax"),
    "refuses everything": ("def check(given, output):\n    return False\n", "checker_too_strict"),
    # it is tried on 17, 18, 19 and 23; the suite has 29 and 30 as well, and needs one of them
    "refuses what it was not tried on": (RIGHT.replace("return", "return n < 25 and"), "checker_too_strict"),
    "crashes on what it was not tried on": (RIGHT.replace("return", "assert n < 25\n    return"), "checker_failed"),
    "crashes": ("def check(given, output):\n    return 1 // 0\n", "checker_failed"),
    "prints its verdict": (
        'def check(given, output):\n    print(\'{"said": "accepted", "why": ""}\', flush=True)\n',
        "checker_failed",
    ),
    "opens files": ("def check(given, output):\n    return open(given)\n", "forbidden_import"),
    "unproven": (RIGHT, "checker_unproven"),
}


def divisors(folder: Path, names: Sequence[str] = tuple(CHECKERS)) -> Path:
    """A folder of one problem again and again, each with another checker."""
    for number, name in enumerate(names):
        checker, _ = CHECKERS[name]
        files = DIVISORS | ({"checker.py": checker} if checker else {})
        for path, text in files.items():
            if name == "unproven" and path.startswith("wrong/") and "crash" not in path:
                continue
            file = folder / name.replace(" ", "_") / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        said = f'title = "{name}"\ndomain = "number theory"\nstatement = "{STATEMENT.format(number=number)}"\n'
        (folder / name.replace(" ", "_") / "problem.toml").write_text(said)
    return folder


def materialise(context: Context) -> dict[str, Outcome]:
    return {name: run_stage(STAGES[name], context, STAGES) for name in ("corpus", "evaluation_problems", *BRANCH)}


def verdicts(context: Context, names: dict[str, str]) -> dict[str, str]:
    rows = context.lake.rows(
        "select problem_id, reason_code from ledger where stage in (select unnest(?)) order by created_at", [BRANCH]
    )
    return {names[row["problem_id"]]: row["reason_code"] for row in rows if row["problem_id"] in names}


def checks(context: Context) -> list[dict[str, Any]]:
    return context.lake.rows(
        "select problem_id, submission_id, input_digest, count(*) n from submission_runs where purpose = 'check' group by all"
    )


@pytest.mark.slow
def test_the_built_in_problems_come_back_and_their_checker_is_the_reward(
    make_context: Callable[..., Context], box: Sandbox
) -> None:
    small = SMALL | {
        "testcases__problems": ["pair_with_sum", "order_of_tasks"],
        "testcases__cases": 24,
        "testcases__valid_cases": 20,
        "testcases__submissions": 6,
        "testcases__agree": 4,
        "testcases__passing": 5,
    }
    context = make_context(**small)
    outcomes = materialise(context)
    problems = builtin_problems(["pair_with_sum", "order_of_tasks"])
    assert verdicts(context, {one.problem_id: one.name for one in problems}) == {
        "pair_with_sum": "readmitted",
        "order_of_tasks": "readmitted",
    }
    assert outcomes["validated_test_suites"].figures["funnel"] == {
        "problems": 2,
        "no special judge": 0,
        "at least 40 valid cases": 0,
        "kept": 0,
        READMITTED: 2,
    }
    assert outcomes["output_checkers"].figures == {
        "problems": 2,
        "with_a_checker": 2,
        "supplied": 2,
        "written_attempts": 0,
    }
    strength = outcomes["suite_strength"].figures
    assert strength["held_out_accepted"] == strength["wrong_rejected"] == 1.0

    # Nothing is checked twice, and other thresholds need no new runs.
    assert all(one["n"] == 1 for one in checks(context))
    assert all(outcome.cached for outcome in materialise(context).values())
    version = context.lake.version(tables.SUBMISSION_RUNS)
    again = materialise(make_context(**small | {"testcases__agree": 5}))
    assert again["validated_test_suites"].figures["runs_done"] == 0
    assert context.lake.version(tables.SUBMISSION_RUNS) == version

    # As a reward: whichever right output a program prints, it is right.
    suites = load_suites(context.lake, context.profile.name)
    reward = CodeReward(suites, box)
    for one in problems:
        assert suites[one.problem_id].checker == one.checker
        python = [program for program in one.of_kind(ACCEPTED) if program.language == "python"][:4]
        programs = [*python, *one.of_kind(WRONG)]
        texts = [f"```{program.language}\n{program.source}\n```\n" for program in programs]
        scored = reward.score(Reference(one.problem_id, "", "code"), [Response(text, 1) for text in texts])
        wanted = [Status.CORRECT] * 4 + [Status.WRONG] * len(one.of_kind(WRONG))
        assert [found.status for found in scored] == wanted
        assert all("failing_case" in found.parts for found in scored[4:])


@pytest.mark.slow
def test_a_checker_is_refused_for_its_own_reason(
    make_context: Callable[..., Context], tmp_path: Path, box: Sandbox
) -> None:
    folder = divisors(tmp_path / "problems")
    context = make_context(**SMALL | FEW | {"testcases__folders": [str(folder)]})
    materialise(context)
    named = {one.problem_id: one.title for one in read_folder(folder)}
    assert verdicts(context, named) == {name: reason for name, (_, reason) in CHECKERS.items()}
    kept = context.lake.rows(
        "select problem_id, checker_id from validated_suites where verdict = 'keep' and checker_id is not null"
    )
    assert [named[row["problem_id"]] for row in kept] == ["right"]
    told = {row["problem_id"]: row["evidence"] for row in context.lake.rows("select * from output_checkers")}
    assert {named[name]: text for name, text in told.items()}["crashes"].endswith("integer division or modulo by zero")
    found = context.lake.rows("select problem_id, evidence from validated_suites where evidence <> ''")
    why = {named[row["problem_id"]]: row["evidence"] for row in found}
    assert why["crashes on what it was not tried on"] == "AssertionError: "
    assert why["accepts all but nothing"].startswith("it accepts all outputs of ")
    assert all(one["n"] == 1 for one in checks(context))


class Scripted:
    """A launcher whose model answers with one checker."""

    def __init__(self, box: Sandbox, program: str) -> None:
        self.box, self.program = box, program
        self.specs: list[dict[str, Any]] = []

    def run(self, module: str, spec: dict[str, Any], *, ranks: int = 1) -> dict[str, Any]:
        self.specs.append(spec)

        def ask(requests: Sequence[SampleRequest]) -> list[Completion]:
            text = f"```python\n{self.program}\n```"
            return [Completion(one, text, (), "stop", 1, 1) for one in requests]

        form = FORMS[spec["form"]]
        found = write_programs(
            form, spec["problems"], ask, self.box, checkpoint="scripted", attempts=2, max_tokens=9, seed=0
        )
        return {"attempts": {name: [asdict(one) for one in several] for name, several in found.items()}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "attempts", "reason"),
    [(RIGHT, 1, "readmitted"), (EMPTY_REFUSED, 1, "checker_too_lax"), ("print('fine')", 2, "checker_failed")],
    ids=["right", "lax", "no check"],
)
def test_a_model_writes_the_checker_that_is_missing(
    make_context: Callable[..., Context], tmp_path: Path, box: Sandbox, program: str, attempts: int, reason: str
) -> None:
    folder = divisors(tmp_path / "problems", ["missing"])
    model = {"testcases__writer": "model", "model__kind": "folder", "model__path": str(tmp_path)}
    launcher = Scripted(box, program)
    context = make_context(launcher=launcher, **SMALL | FEW | model | {"testcases__folders": [str(folder)]})
    materialise(context)
    (problem,) = read_folder(folder)
    assert verdicts(context, {problem.problem_id: problem.title}) == {"missing": reason}
    (spec,) = launcher.specs
    (asked,) = spec["problems"]
    assert [one["input"] for one in asked["examples"]] == ["17\n", "18\n", "19\n", "23\n"]
    assert {tuple(sorted(set(one["outputs"]))) for one in asked["examples"]} >= {("17",), ("18", "2", "9")}
    rows = context.lake.rows("select origin, attempt, program from output_checkers order by attempt")
    assert [row["attempt"] for row in rows] == list(range(1, attempts + 1))
    assert {row["origin"] for row in rows} == {"model:scripted"}


class Stopped(Exception):
    pass


class Stops:
    """A sandbox whose user is stopped after so many checks."""

    def __init__(self, box: Sandbox, checks: int) -> None:
        self._box, self._checks, self.backend = box, checks, box.backend

    def run_many(self, jobs: Iterable[Job], *, parallel: int | None = None) -> Iterator[tuple[int, Verdict]]:
        listed = list(jobs)
        for place, verdict in self._box.run_many(listed, parallel=parallel):
            if "run_checker" in str(listed[place].program):
                self._checks -= 1
                if self._checks < 0:
                    raise Stopped
            yield place, verdict


def test_checks_that_were_stopped_go_on_and_none_is_repeated(tmp_path: Path, box: Sandbox) -> None:
    (problem,) = read_folder(divisors(tmp_path / "problems", ["right"]))
    lake = Lake(tmp_path / "lake")
    inputs = {f"n{n}": f"{n}\n".encode() for n in (10, 12, 15)}
    programs = problem.of_kind(ACCEPTED) + problem.of_kind(WRONG)
    asked = [Asked(problem, one, inputs, "suite") for one in programs]
    checkers = {problem.problem_id: RIGHT}
    with pytest.raises(Stopped):
        CheckedRuns(lake, Stops(box, 3), "first", 0.0, lambda text: None, checkers).run(asked)  # type: ignore[arg-type]
    first = counted(lake)
    assert (first["first"], len(first)) == (3, 1)
    runs = CheckedRuns(lake, box, "second", 5.0, lambda text: None, checkers)
    runs.run(asked)
    # of 10: 2, 5, 10 and, from wrong programs, 1 and 11 (the one that crashes prints nothing); of 12 and 15: five each as well
    assert counted(lake) == {"first": 3, "second": 15 - 3}
    found = runs.of(problem, programs)
    for one in programs:
        judged = {run.output for run in found[one.submission_id].values()}
        assert judged == ({"accepted"} if one.kind == ACCEPTED else {None})
    again = CheckedRuns(lake, box, "third", 5.0, lambda text: None, checkers)
    again.run(asked)
    assert again.done == 0 and "third" not in counted(lake)
    other = CheckedRuns(lake, box, "other", 5.0, lambda text: None, {problem.problem_id: RIGHT + "\n"})
    other.run(asked)
    assert counted(lake)["other"] == 15  # another checker: other checks, and no program runs again
    assert other.done == 15


def counted(lake: Lake) -> dict[str, int]:
    rows = lake.rows("select run_id, count(*) n from submission_runs where purpose = 'check' group by 1")
    return {row["run_id"]: row["n"] for row in rows}


def test_without_the_setting_nothing_of_it_is_there(make_context: Callable[..., Context]) -> None:
    context = make_context(**SMALL | {"testcases__problems": ["pair_with_sum"], "testcases__special_judge": "refuse"})
    outcomes = materialise(context)
    assert outcomes["coding_problems"].figures["special_judge"] == 1
    assert outcomes["output_checkers"].figures["problems"] == 0
    assert READMITTED not in outcomes["validated_test_suites"].figures["funnel"]
    assert context.lake.rows("select * from output_checkers") == []
