"""The 7/10, 40-case and 9/10 rules, by hand: every number below is counted on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_pipeline.ledger import KEEP, REFUSE
from kimi_pipeline.reasons import Reason
from kimi_pipeline.rewards.outputs import comparison, normalise
from kimi_pipeline.testcases.rules import (
    Run,
    Thresholds,
    agreement,
    draw_submissions,
    judge_suite,
    judge_with_checker,
    passes_all,
)

REPORT = Thresholds()


def well(output: str, times: int) -> list[Run]:
    return [Run("ok", output)] * times


def crashed(times: int, output: str | None = None) -> list[Run]:
    return [Run("wrong_exit", output)] * times


@pytest.mark.parametrize(("same", "valid"), [(6, False), (7, True), (8, True), (10, True)])
def test_a_case_is_valid_from_seven_of_ten(same: int, valid: bool) -> None:
    found = agreement(well("1", same) + [Run("ok", str(100 + k)) for k in range(10 - same)], REPORT.agree)
    assert (found.valid, found.agreeing, found.ended_well) == (valid, same, 10)
    assert found.expected == ("1" if valid else None)
    assert found.reason == (Reason.VALID_CASE if valid else Reason.SUBMISSIONS_DISAGREE)


@pytest.mark.parametrize(("same", "valid"), [(6, False), (7, True)])
def test_runs_that_crash_count_among_the_ten(same: int, valid: bool) -> None:
    assert agreement(well("1", same) + crashed(10 - same), REPORT.agree).valid is valid


def test_crashing_alike_is_no_agreement() -> None:
    # all ten printed "1" before they crashed
    found = agreement(crashed(10, "1"), REPORT.agree)
    assert (found.valid, found.agreeing, found.reason) == (False, 0, Reason.SUBMISSIONS_FAIL)
    assert agreement(well("1", 6) + crashed(4, "1"), REPORT.agree).reason is Reason.SUBMISSIONS_FAIL


def test_where_nothing_ended_well_nothing_is_counted() -> None:
    found = agreement(crashed(10), REPORT.agree)
    assert (found.valid, found.expected, found.agreeing, found.ended_well, found.distinct) == (False, None, 0, 0, 0)


def test_seven_that_ended_well_can_disagree() -> None:
    found = agreement(well("1", 6) + well("2", 1) + crashed(3), REPORT.agree)
    assert (found.ended_well, found.agreeing, found.reason) == (7, 6, Reason.SUBMISSIONS_DISAGREE)


def test_whole_shares_are_not_rounded_up() -> None:
    half = Thresholds(submissions=20, agree=14, passing=18).scaled(10)
    assert (half.submissions, half.agree, half.passing) == (10, 7, 9)


def test_a_majority_must_agree_however_few_are_asked_for() -> None:
    assert Thresholds(agree=4).scaled(5).agree == 3  # the share would be 2, and two outputs could both agree


def test_output_that_is_not_utf8_is_no_agreement() -> None:
    assert not agreement([Run("ok", None)] * 10, REPORT.agree).valid


def test_a_tie_is_invalid() -> None:
    found = agreement(well("1", 5) + well("2", 5), agree=5)
    assert (found.valid, found.reason) == (False, Reason.OUTPUTS_TIE)
    assert agreement(well("1", 6) + well("2", 4), agree=5).valid


def test_agreement_within_a_tolerance() -> None:
    runs = well("1.0000001", 4) + well("1.0", 3) + well("2.0", 3)
    assert not agreement(runs, 7).valid
    found = agreement(runs, 7, tolerance=1e-6)
    assert (found.valid, found.agreeing, found.expected) == (True, 7, "1.0000001")


def suite(cases: int, wrong: dict[str, set[int]], disagreeing: int = 0) -> tuple[dict, dict]:
    """`cases` valid cases on which submission `name` is wrong at the numbers in `wrong`; then cases that are split 5:5."""
    runs: dict[str, dict[str, Run]] = {}
    for number in range(10):
        name = f"s{number}"
        own = {f"c{k}": Run("ok", "bad" + name if k in wrong.get(name, set()) else "right") for k in range(cases)}
        own |= {f"d{k}": Run("ok", str(number % 2)) for k in range(disagreeing)}
        runs[name] = own
    names = runs["s0"]
    return {case: agreement([own[case] for own in runs.values()], REPORT.agree) for case in names}, runs


@pytest.mark.parametrize(("failing", "verdict"), [(0, KEEP), (1, KEEP), (2, REFUSE)])
def test_kept_when_nine_of_ten_pass_every_case(failing: int, verdict: str) -> None:
    # each failing submission is wrong on one case of its own, and right on the other 49: counted over all cases, it fails
    agreements, runs = suite(50, {f"s{k}": {k} for k in range(failing)})
    found = judge_suite(agreements, runs, REPORT)
    assert found.verdict == verdict
    assert (found.valid_cases, len(found.passing)) == (50, 10 - failing)
    assert found.reason is (Reason.VALIDATED if verdict == KEEP else Reason.TOO_FEW_PASS)


def test_nine_of_ten_is_not_counted_by_case() -> None:
    # every case has 9 of 10 right outputs, yet no submission but five passes all
    agreements, runs = suite(50, {f"s{k}": {k} for k in range(5)})
    assert all(one.agreeing >= 9 for one in agreements.values())
    assert judge_suite(agreements, runs, REPORT).verdict == REFUSE


@pytest.mark.parametrize(("valid", "verdict"), [(39, REFUSE), (40, KEEP)])
def test_a_generator_needs_forty_valid_cases(valid: int, verdict: str) -> None:
    agreements, runs = suite(valid, {}, disagreeing=50 - valid)
    found = judge_suite(agreements, runs, REPORT)
    assert (found.verdict, found.valid_cases) == (verdict, valid)
    # invalid cases are not selected: that nobody "passes" them takes nothing from the submissions
    assert len(found.passing) == 10
    if verdict == REFUSE:
        assert found.reason is Reason.SUBMISSIONS_DISAGREE


@pytest.mark.parametrize(("broken", "reason"), [(3, Reason.VALIDATED), (4, Reason.NOT_COMPILED)])
def test_submissions_that_do_not_compile(broken: int, reason: Reason) -> None:
    # three of ten: seven still agree on every case, but then only seven pass them all
    _, runs = suite(50, {})
    for number in range(broken):
        runs[f"s{number}"] = {case: Run("compile_error", None) for case in runs["s0"]}
    agreements = {case: agreement([own[case] for own in runs.values()], REPORT.agree) for case in runs["s9"]}
    found = judge_suite(agreements, runs, replace(REPORT, passing=7))
    assert (found.reason, found.verdict) == (reason, KEEP if reason is Reason.VALIDATED else REFUSE)


def test_a_missing_run_is_a_failure() -> None:
    assert not passes_all({}, {"c": "1"})
    assert passes_all({"c": Run("ok", "1")}, {"c": "1"})


def test_thresholds_of_few_submissions() -> None:
    # 0.7 * 5 = 3.5 -> 4; 0.9 * 5 = 4.5 -> 5. Of two: a majority is two
    assert REPORT.scaled(5) == Thresholds(5, 4, 40, 5)
    assert REPORT.scaled(2) == Thresholds(2, 2, 40, 2)
    assert REPORT.scaled(10) is REPORT and REPORT.scaled(14) is REPORT


def test_the_draw_is_a_function_of_seed_and_problem() -> None:
    names = [f"s{k}" for k in range(14)]
    drawn = draw_submissions("p", names, 10, 0)
    assert len(set(drawn)) == 10
    assert drawn == draw_submissions("p", names[::-1], 10, 0)
    assert drawn != draw_submissions("p", names, 10, 1) and drawn != draw_submissions("q", names, 10, 0)


def test_what_a_judge_does_not_see() -> None:
    assert normalise(b"1 2 \r\n3\t\r\n\r\n\n") == "1 2\n3"
    assert normalise(b" 1\n\n2") == " 1\n\n2"
    assert normalise(b"\xff") is None
    assert normalise(b"") == ""


@pytest.mark.parametrize(
    ("expected", "given_", "same"),
    [
        ("0.5", "0.5000009", True),
        ("0.5", "0.500002", False),
        ("1000000", "1000000.9", True),
        ("1000000", "1000001.1", False),
        ("yes 1", "yes 1.0", True),
        ("yes", "no", False),
        ("1 2", "1", False),
        ("nan", "nan", True),
        ("nan", "1", False),
        ("inf", "1e309", False),
    ],
)
def test_tolerance(expected: str, given_: str, same: bool) -> None:
    assert comparison(1e-6)(expected, given_) is same


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=10), st.integers(1, 10), st.randoms())
def test_the_order_of_runs_changes_nothing(outputs: list[str], agree: int, shuffle) -> None:
    runs = [Run("ok", one) for one in outputs]
    before = agreement(runs, agree)
    shuffle.shuffle(runs)
    assert agreement(runs, agree) == before
    if before.valid:
        assert before.agreeing >= agree and outputs.count(before.expected) == before.agreeing


YES, NO, BROKEN = Run("ok", "accepted"), Run("refused", None, "no"), Run("checker_failed", None, "ValueError: x")
CRASH = Run("wrong_exit", None)
CASES = [f"c{k}" for k in range(50)]


def everywhere(run: Run, but: dict[str, Run] | None = None) -> dict[str, Run]:
    return dict.fromkeys(CASES, run) | (but or {})


def checked(
    drawn: list[dict[str, Run]], wrong: list[dict[str, Run]], nothing: dict[str, Run] | None = None
) -> tuple[str, Reason, str]:
    """Ten drawn submissions: those of `drawn`, the others accepted everywhere."""
    runs = {f"s{k}": drawn[k] if k < len(drawn) else everywhere(YES) for k in range(10)}
    agreements = {case: agreement([own[case] for own in runs.values()], REPORT.agree) for case in CASES}
    known_wrong = {f"w{k}": own for k, own in enumerate(wrong)}
    found = judge_with_checker(agreements, runs, known_wrong, everywhere(NO) if nothing is None else nothing, REPORT)
    return found.verdict, found.reason, found.why


def test_a_checker_that_accepts_truths_and_rejects_wrong_outputs_readmits() -> None:
    # wrong on one case of fifty is enough to be rejected; a checker's crash rejects as well
    assert checked([], [everywhere(YES, {"c7": NO})]) == (KEEP, Reason.READMITTED, "")
    assert checked([], [everywhere(YES, {"c7": BROKEN})]) == (KEEP, Reason.READMITTED, "")
    # one of ten truths refused on one case: nine of ten pass, as the report allows
    assert checked([everywhere(YES, {"c0": NO})], [everywhere(NO)])[1] is Reason.READMITTED


def test_a_checker_that_refuses_truths_is_too_strict() -> None:
    # two of ten refused on one case each: eight pass them all
    two = [everywhere(YES, {"c0": NO}), everywhere(YES, {"c1": NO})]
    assert checked(two, [everywhere(NO)]) == (REFUSE, Reason.CHECKER_TOO_STRICT, "no")
    # four of ten refused on eleven cases: 39 valid ones
    eleven = everywhere(YES, {f"c{k}": NO for k in range(11)})
    assert checked([eleven] * 4, [everywhere(NO)])[1] is Reason.CHECKER_TOO_STRICT
    # on ten of them: 40 valid ones, which all ten pass
    assert checked([everywhere(YES, {f"c{k}": NO for k in range(10)})] * 4, [everywhere(NO)])[1] is Reason.READMITTED


def test_a_checker_that_mostly_fails_on_truths_has_failed() -> None:
    broken = everywhere(YES, {"c0": BROKEN})
    assert checked([broken, broken], [everywhere(NO)]) == (REFUSE, Reason.CHECKER_FAILED, "ValueError: x")
    assert checked([broken, everywhere(YES, {"c1": NO})], [everywhere(NO)])[1] is Reason.CHECKER_TOO_STRICT  # one each


def test_submissions_that_fail_themselves_are_no_fault_of_the_checker() -> None:
    # four crash everywhere: even a checker that accepts everything would have six of the seven that it needs
    assert checked([everywhere(CRASH)] * 4, [everywhere(NO)])[1] is Reason.SUBMISSIONS_FAIL
    # one crashes, one is refused: without the refusal nine would pass
    assert checked([everywhere(CRASH), everywhere(NO)], [everywhere(NO)])[1] is Reason.CHECKER_TOO_STRICT


def test_a_checker_that_accepts_what_is_known_to_be_wrong_is_too_lax() -> None:
    assert checked([], [everywhere(NO), everywhere(YES)]) == (
        REFUSE,
        Reason.CHECKER_TOO_LAX,
        "it accepts all outputs of w1",
    )
    empty = everywhere(NO, {"c3": YES})
    assert checked([], [everywhere(NO)], empty) == (REFUSE, Reason.CHECKER_TOO_LAX, "it accepts an empty output")
    # accepted where too few truths were: not a valid case, so it says nothing
    unsure = [everywhere(YES, {"c3": NO})] * 4
    assert checked(unsure, [everywhere(NO)], empty)[1] is Reason.READMITTED


@pytest.mark.parametrize("wrong", [[], [everywhere(CRASH)], [{}]])
def test_a_checker_that_refused_no_wrong_output_is_unproven(wrong: list[dict[str, Run]]) -> None:
    assert checked([], wrong) == (REFUSE, Reason.CHECKER_UNPROVEN, "")


def test_a_case_says_whether_submissions_failed_or_were_refused() -> None:
    assert agreement([YES] * 6 + [NO] * 4, 7).reason is Reason.CHECKER_TOO_STRICT
    assert agreement([NO] * 10, 7).reason is Reason.CHECKER_TOO_STRICT
    assert agreement([YES] * 6 + [CRASH] * 4, 7).reason is Reason.SUBMISSIONS_FAIL
    assert agreement([YES] * 7 + [NO] * 3, 7) == agreement([YES] * 7 + [CRASH] * 3, 7)
