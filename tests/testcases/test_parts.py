"""The parts that run nothing: the special-judge detector, mutants, the reduced suite, a generator read from an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.corpora.coding_library import builtin_problems, read_folder
from kimi_pipeline.corpora.coding_problem import ACCEPTED, WRONG, CodingProblem, Program
from kimi_pipeline.errors import UserError
from kimi_pipeline.profiles.sections import Testcases
from kimi_pipeline.reasons import Reason
from kimi_pipeline.testcases import special_judge
from kimi_pipeline.testcases.collecting import judge_problem
from kimi_pipeline.testcases.forms import CHECKER, GENERATOR, usage
from kimi_pipeline.testcases.mutants import draw_mutants, mutants_of
from kimi_pipeline.testcases.subset import cheapest_killer_first, smallest_subset
from kimi_pipeline.testcases.writing import prompt, read_answer

SEVERAL_OUTPUTS = [
    "If there are multiple solutions, print any of them.",
    "If there are several possible answers, you may output any.",
    "Print any valid permutation.",
    "Any correct answer will be accepted.",
    "Output the edges in any order.",
    "You can print the vertices in arbitrary order.",
    "If there exist several such strings, print any.",
    "This is an interactive problem.",
    "Find any path from 1 to n.",
    "Construct any such array. Any array that meets the conditions is accepted.",
    "All valid answers are accepted.",
    "The output will be checked by a special judge.",
]
ONE_OUTPUT = [
    "Print the number of valid permutations.",
    "The edges are given in any order. Print the length of the shortest path.",
    "If there are several answers, print the smallest one.",
    "If there are multiple solutions, print the lexicographically least.",
    "Each thing can be used any number of times. Print the largest value.",
    "Is there any path from 1 to n? Print YES or NO.",
    "An answer with an absolute error of at most 10^-6 is accepted.",
    "You may perform the operations in any sequence. Print the least number of operations.",
    "Print the sum of distances over all pairs.",
    "The input lists the numbers in arbitrary order; print them sorted.",
]


def test_submissions_that_no_sandbox_would_run_are_left_out_and_counted() -> None:
    bad = (Program("java", "class Main {}", ACCEPTED), Program("python", " \n", ACCEPTED), Program("cpp", "\0", WRONG))
    sound = problem().programs
    found = judge_problem(problem(programs=(*sound, *bad)), Testcases())
    assert found.problem.programs == sound and found.evidence["not_runnable"] == 3
    few = judge_problem(problem(programs=(*sound[:9], *bad)), Testcases())
    assert (few.reason, few.evidence["accepted"]) == (Reason.TOO_FEW_SUBMISSIONS, 9)


def test_the_detector_on_statements_labelled_by_hand() -> None:
    found = [text for text in SEVERAL_OUTPUTS if special_judge.detect(text).needed]
    false = [text for text in ONE_OUTPUT if special_judge.detect(text).needed]
    assert set(SEVERAL_OUTPUTS) - set(found) == set()
    assert false == []
    finding = special_judge.detect("Take n numbers. If there are several, print any of them.")
    assert finding.rule and finding.at in "Take n numbers. If there are several, print any of them."


def problem(**changes: object) -> CodingProblem:
    programs = tuple(Program("python", f"print({k})", ACCEPTED) for k in range(10))
    values = {"statement": "Print x (1 <= x <= 5).", "programs": programs} | changes
    return CodingProblem("test", "made", "Made", domain="arrays", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accepted", "settings", "reason"),
    [
        (10, {}, Reason.CODING_PROBLEM),
        (9, {}, Reason.TOO_FEW_SUBMISSIONS),
        (5, {"few_submissions": "scale"}, Reason.CODING_PROBLEM),
        (4, {"few_submissions": "scale"}, Reason.TOO_FEW_SUBMISSIONS),
        (0, {}, Reason.NO_SUBMISSIONS),
    ],
)
def test_a_problem_needs_its_submissions(accepted: int, settings: dict, reason: Reason) -> None:
    one = problem(programs=problem().programs[:accepted])
    assert judge_problem(one, Testcases(**settings)).reason is reason


@pytest.mark.parametrize(
    ("changes", "setting", "reason"),
    [
        ({}, "refuse", Reason.SPECIAL_JUDGE),
        ({}, "checker", Reason.NEEDS_CHECKER),
        ({"programs": ()}, "checker", Reason.NO_SUBMISSIONS),
        # a person who gives a checker says that one is needed, whatever the statement's words are
        ({"statement": "Print a x (1 <= x <= 5).", "checker": "pass"}, "checker", Reason.NEEDS_CHECKER),
        ({"statement": "Print a x (1 <= x <= 5).", "checker": "pass"}, "refuse", Reason.SPECIAL_JUDGE),
        (
            {"statement": "Print any valid x (1 <= x <= 5). This is an interactive problem."},
            "checker",
            Reason.SPECIAL_JUDGE,
        ),
    ],
)
def test_a_checker_may_readmit_what_needs_a_special_judge(changes: dict, setting: str, reason: Reason) -> None:
    one = problem(**({"statement": "Print any valid pair x, y (1 <= x, y <= 5)."} | changes))
    found = judge_problem(one, Testcases(special_judge=setting))  # type: ignore[arg-type]
    assert found.reason is reason
    if reason is Reason.NEEDS_CHECKER:
        assert found.evidence["rule"].startswith("special_judge@1:") and found.evidence["at"]


def test_weak_and_wrong_programs_and_repeated_ones_do_not_count_as_submissions() -> None:
    ten = problem().programs
    again = Program("python", ten[0].source, ACCEPTED, "the same under another name")
    bad = [Program("python", "print(0 )", "weak: bug"), Program("python", "print( 0)", "wrong: bug"), again]
    assert judge_problem(problem(programs=(*ten[:9], *bad)), Testcases()).reason is Reason.TOO_FEW_SUBMISSIONS


def test_a_statement_without_bounds_needs_a_validator() -> None:
    assert judge_problem(problem(statement="Print x."), Testcases()).reason is Reason.NO_CONSTRAINTS
    assert judge_problem(problem(statement="Print x.", validator="end()"), Testcases()).reason is Reason.CODING_PROBLEM


def test_a_folder_of_problems_names_what_is_wrong_with_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=r"holds no NAME/problem\.toml"):
        read_folder(tmp_path)
    (tmp_path / "one").mkdir()
    file = tmp_path / "one" / "problem.toml"
    for text, told in [
        ("title = 1", "title is missing"),
        ("title = 'a'\ndomain = 'b'\nstatement = 'c'\ncolour = 1", "unknown field 'colour'"),
        ("title = 'a'\ndomain = 'b'\nstatement = 'c'\ntime_limit_s = -1", "time_limit_s is -1"),
        ("title = ", "problem.toml"),
    ]:
        file.write_text(text)
        with pytest.raises(UserError, match=told):
            read_folder(tmp_path)
    with pytest.raises(UserError, match="no built-in problem 'x'"):
        builtin_problems(["x"])


def test_mutants_are_single_changes_counted_by_hand() -> None:
    program = Program("python", "a = int(input())\nprint(a + 1 if a < 2 else max(a, 5))\n", ACCEPTED, "made")
    changes = {one.change.partition(": ")[2].split(": ")[-1] for one in mutants_of(program)}
    assert changes == {
        "Add -> Sub",
        "Lt -> LtE",
        "Lt -> GtE",
        "max -> min",
        "1 -> 2",
        "1 -> 0",
        "2 -> 3",
        "2 -> 1",
        "5 -> 6",
        "5 -> 4",
    }
    assert mutants_of(Program("cpp", "int main() {}", ACCEPTED)) == []


def test_mutants_are_drawn_by_seed_and_in_turns() -> None:
    programs = [Program("python", f"print(int(input()) + {k})", ACCEPTED, str(k)) for k in range(4)]
    drawn = draw_mutants(programs, 8, 0, "p")
    assert drawn == draw_mutants(programs[::-1], 8, 0, "p")
    assert drawn != draw_mutants(programs, 8, 1, "p")
    assert {origin: [one.origin for one in drawn].count(origin) for origin in {one.origin for one in drawn}} == {
        one.submission_id: 2 for one in programs
    }


def test_the_subset_by_hand() -> None:
    # 1 rejects a and b, 2 rejects c, 3 rejects b: 1 and 2 have the power of all. 2 costs ten times as much as 1.
    kills = {1: {"a", "b"}, 2: {"c"}, 3: {"b"}, 4: set[str]()}
    assert smallest_subset(kills, {1: 0.1, 2: 1.0, 3: 0.1, 4: 0.1}, most=2) == [1, 2]
    assert smallest_subset(kills, {1: 0.1, 2: 0.01, 3: 0.1, 4: 0.1}, most=2) == [2, 1]
    assert smallest_subset(kills, {}, most=1) == [1]
    assert smallest_subset({}, {}, most=3) == []


@given(st.dictionaries(st.integers(1, 12), st.sets(st.sampled_from("abcdef")), max_size=12))
def test_the_subset_rejects_what_all_cases_reject_where_there_is_room(kills: dict[int, set[str]]) -> None:
    everything = set().union(*kills.values()) if kills else set()
    chosen = smallest_subset(kills, {}, most=len(kills))
    assert set().union(*(kills[case] for case in chosen)) == everything
    assert len(chosen) == len(set(chosen))
    assert sorted(cheapest_killer_first(kills, {})) == sorted(kills)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("```python\ndef check(given, output):\n    return True\n```", Reason.CHECKER_READY),
        ("def check(given, output):\n    return True", Reason.CHECKER_READY),
        ("import random\ndef check(given, output):\n    return random.random() < 1", Reason.FORBIDDEN_IMPORT),
        ("A checker reads the output.", Reason.NOT_A_PROGRAM),
    ],
)
def test_a_checker_is_read_from_an_answer(answer: str, reason: Reason) -> None:
    assert read_answer(CHECKER, "model:x", 1, answer).reason is reason


def test_the_prompt_of_a_checker_shows_short_inputs_with_a_right_output() -> None:
    examples = [{"input": f"{k} " * k + "\n", "outputs": [f"right {k}", "another"]} for k in (300, 3, 2, 1)]
    text = prompt(CHECKER, {"statement": "Print any x.", "examples": examples}, "pass", "it refused a right output")
    for part in ("check(given, output)", "Print any x.", "right 1", "right 2", "it refused a right output"):
        assert part in text
    assert "another" not in text and "right 3" not in text


GOOD = "from cyaron import *\nprint(randint(1, 5))"


@pytest.mark.parametrize(
    ("answer", "reason", "holds"),
    [
        (f"Here it is:\n```python\n{GOOD}\n```\nIt prints x.", Reason.GENERATOR_READY, "randint(1, 5)"),
        (f"```\nx\n```\nBetter:\n~~~py\n{GOOD}\n~~~", Reason.GENERATOR_READY, "randint(1, 5)"),
        (GOOD, Reason.GENERATOR_READY, "randint(1, 5)"),
        (f"```python\n{GOOD}\nfor i in range(", Reason.NOT_A_PROGRAM, "for i in range("),
        ("```python\nimport os\nprint(os.listdir())\n```", Reason.FORBIDDEN_IMPORT, "listdir"),
        ("```cpp\nint main() {}\n```", Reason.NOT_A_PROGRAM, None),
        ("I am sorry, I can't print that.", Reason.NOT_A_PROGRAM, None),
        ("", Reason.NOT_A_PROGRAM, None),
        ("1. First\n2. Second\n" * 200, Reason.NOT_A_PROGRAM, None),
    ],
)
def test_a_generator_is_read_from_answers_of_every_quality(answer: str, reason: Reason, holds: str | None) -> None:
    attempt = read_answer(GENERATOR, "model:x", 1, answer)
    assert attempt.reason is reason
    assert attempt.response == answer
    assert (holds is None) == (attempt.program is None)
    assert holds is None or holds in (attempt.program or "")


def test_the_prompt_holds_the_usage_statement_the_problem_and_the_last_error() -> None:
    text = prompt(GENERATOR, {"statement": "Print x (1 <= x <= 5)."}, "print(9)", "the validator refuses the input")
    for part in (usage().strip(), "Print x (1 <= x <= 5).", "print(9)", "the validator refuses the input", "STRATUM"):
        assert part in text
    assert "Your last attempt" not in prompt(GENERATOR, {"statement": "Print x."})
