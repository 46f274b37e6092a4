"""Tables of test cases for coding problems [2.3.5]: from the problems to the strength of their suites.

`profile` tells the results of profiles apart that share a lake. `setting` names what a run depends on beside program and
input (limits, image): equal keys are one run, whoever asks.
"""

from __future__ import annotations

from kimi_pipeline.tables.declare import BOOL, BYTES, FLOAT64, INT64, STRINGS, SUBMISSIONS, TEXT, list_of, table

PROBLEM = [("profile", TEXT), ("problem_id", TEXT)]
VERDICT = [("verdict", TEXT), ("reason_code", TEXT), ("evidence", TEXT)]

CODING_PROBLEMS = table(
    "coding_problems",
    "profile problem_id",
    [
        *PROBLEM,
        *VERDICT,
        ("source", TEXT),
        ("name", TEXT),
        ("title", TEXT),
        ("statement", TEXT),
        ("domain", TEXT),
        ("time_limit_s", FLOAT64),
        ("memory_limit_mb", INT64),
        ("float_tolerance", FLOAT64),
        ("submissions", SUBMISSIONS),
        ("generator", TEXT),
        ("validator", TEXT),
        ("checker", TEXT),
        ("planted", TEXT),
    ],
    version=2,
)
"""Coding problems with the verdict of the rules that need no run."""

TEST_CASE_GENERATORS = table(
    "test_case_generators",
    "profile problem_id attempt",
    [
        *PROBLEM,
        ("generator_id", TEXT),
        ("origin", TEXT),
        ("attempt", INT64),
        *VERDICT,
        ("program", TEXT),
        ("response", TEXT),
    ],
)
"""Every generator that was supplied or written, also those that are refused; the kept one with the highest attempt counts."""

TEST_CASES = table(
    "test_cases",
    "profile problem_id case_number",
    [
        *PROBLEM,
        ("generator_id", TEXT),
        ("setting", TEXT),
        ("case_number", INT64),
        ("stratum", TEXT),
        ("number", INT64),
        ("input", BYTES),
        ("input_digest", TEXT),
        ("reason_code", TEXT),
        ("detail", TEXT),
    ],
)
"""Every input that was asked for; usable are those with reason `generated`."""

OUTPUT_CHECKERS = table(
    "output_checkers",
    "profile problem_id attempt",
    [
        *PROBLEM,
        ("checker_id", TEXT),
        ("origin", TEXT),
        ("attempt", INT64),
        *VERDICT,
        ("program", TEXT),
        ("response", TEXT),
    ],
)
"""The same of checkers, for problems that need one (`testcases.special_judge = "checker"`)."""

SUBMISSION_RUNS = table(
    "submission_runs",
    "problem_id submission_id input_digest setting",
    [
        ("problem_id", TEXT),
        ("submission_id", TEXT),
        ("input_digest", TEXT),
        ("setting", TEXT),
        ("purpose", TEXT),
        ("label", TEXT),
        ("outcome", TEXT),
        ("output", TEXT),
        ("exit_code", INT64),
        ("cpu_seconds", FLOAT64),
        ("detail", TEXT),
        ("image", TEXT),
    ],
)
"""One run of a program on an input. `output` is normalised; null where it is not UTF-8 or the run did not end well.
With purpose `check` the program is a checker, its input one that a submission saw together with what that printed."""

VALIDATED_SUITES = table(
    "validated_suites",
    "profile problem_id",
    [
        *PROBLEM,
        *VERDICT,
        ("generator_id", TEXT),
        ("setting", TEXT),
        ("drawn", STRINGS),
        ("passing", STRINGS),
        ("cases", INT64),
        ("valid_cases", INT64),
        ("mean_agreement", FLOAT64),
        ("thresholds", TEXT),
        ("limits", TEXT),
        ("image", TEXT),
        ("inputs_checked", BOOL),
        ("checker_id", TEXT),
    ],
    version=2,
)
"""The verdict on each problem that had inputs; `mean_agreement`: the share of drawn submissions behind a valid output.
`checker_id` names the checker of `output_checkers` that judged its outputs (null: they were compared)."""

SUITE_CASES = table(
    "suite_cases",
    "profile problem_id case_number",
    [
        *PROBLEM,
        ("case_number", INT64),
        ("stratum", TEXT),
        ("input_digest", TEXT),
        ("valid", BOOL),
        ("reason_code", TEXT),
        ("expected", TEXT),
        ("agreeing", INT64),
        ("ended_well", INT64),
        ("distinct_outputs", INT64),
    ],
)

SUITE_STRENGTH = table(
    "suite_strength",
    "profile problem_id",
    [
        *PROBLEM,
        ("held_out", INT64),
        ("held_out_accepted", INT64),
        ("wrong", INT64),
        ("wrong_rejected", INT64),
        ("weak", INT64),
        ("weak_rejected", INT64),
        ("mutants", INT64),
        ("mutants_rejected", INT64),
        ("mutants_equivalent", INT64),
        ("survivors", STRINGS),
        ("reduced", list_of(INT64)),
        ("reduced_held_out_accepted", INT64),
        ("reduced_wrong_rejected", INT64),
        ("reduced_mutants_rejected", INT64),
        ("fresh_mutants", INT64),
        ("fresh_mutants_rejected", INT64),
        ("further_inputs", INT64),
    ],
)
"""`reduced` are case numbers in the order in which a reward runs them. `fresh_mutants` had no part in choosing them."""

MUTANTS = table(
    "mutants",
    "profile problem_id submission_id",
    [
        *PROBLEM,
        ("submission_id", TEXT),
        ("origin", TEXT),
        ("change", TEXT),
        ("program", TEXT),
        ("fate", TEXT),
        ("killing_cases", INT64),
    ],
)
"""Small changes to right programs, and what became of each: `rejected`, `equivalent` (no further input tells it apart) or
`survived` (a further input does, no case of the suite did)."""
