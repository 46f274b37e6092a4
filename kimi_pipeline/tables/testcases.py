"""Tables of test cases for coding problems [2.3.5]: from the problems to the strength of their suites.

`profile` tells the results of profiles apart that share a lake. `setting` names what a run depends on beside program and
input (limits, image): equal keys are one run, whoever asks.
"""

from __future__ import annotations

import pyarrow as pa

from kimi_pipeline.tables.declare import STRINGS, SUBMISSIONS, table

PROBLEM = [("profile", pa.string()), ("problem_id", pa.string())]
VERDICT = [("verdict", pa.string()), ("reason_code", pa.string()), ("evidence", pa.string())]

CODING_PROBLEMS = table(
    "coding_problems",
    "profile problem_id",
    [
        *PROBLEM,
        *VERDICT,
        ("source", pa.string()),
        ("name", pa.string()),
        ("title", pa.string()),
        ("statement", pa.string()),
        ("domain", pa.string()),
        ("time_limit_s", pa.float64()),
        ("memory_limit_mb", pa.int64()),
        ("float_tolerance", pa.float64()),
        ("submissions", SUBMISSIONS),
        ("generator", pa.string()),
        ("validator", pa.string()),
        ("checker", pa.string()),
        ("planted", pa.string()),
    ],
    version=2,
)
"""Coding problems with the verdict of the rules that need no run."""

TEST_CASE_GENERATORS = table(
    "test_case_generators",
    "profile problem_id attempt",
    [
        *PROBLEM,
        ("generator_id", pa.string()),
        ("origin", pa.string()),
        ("attempt", pa.int64()),
        *VERDICT,
        ("program", pa.string()),
        ("response", pa.string()),
    ],
)
"""Every generator that was supplied or written, also those that are refused; the kept one with the highest attempt counts."""

TEST_CASES = table(
    "test_cases",
    "profile problem_id case_number",
    [
        *PROBLEM,
        ("generator_id", pa.string()),
        ("setting", pa.string()),
        ("case_number", pa.int64()),
        ("stratum", pa.string()),
        ("number", pa.int64()),
        ("input", pa.binary()),
        ("input_digest", pa.string()),
        ("reason_code", pa.string()),
        ("detail", pa.string()),
    ],
)
"""Every input that was asked for; usable are those with reason `generated`."""

OUTPUT_CHECKERS = table(
    "output_checkers",
    "profile problem_id attempt",
    [
        *PROBLEM,
        ("checker_id", pa.string()),
        ("origin", pa.string()),
        ("attempt", pa.int64()),
        *VERDICT,
        ("program", pa.string()),
        ("response", pa.string()),
    ],
)
"""The same of checkers, for problems that need one (`testcases.special_judge = "checker"`)."""

SUBMISSION_RUNS = table(
    "submission_runs",
    "problem_id submission_id input_digest setting",
    [
        ("problem_id", pa.string()),
        ("submission_id", pa.string()),
        ("input_digest", pa.string()),
        ("setting", pa.string()),
        ("purpose", pa.string()),
        ("label", pa.string()),
        ("outcome", pa.string()),
        ("output", pa.string()),
        ("exit_code", pa.int64()),
        ("cpu_seconds", pa.float64()),
        ("detail", pa.string()),
        ("image", pa.string()),
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
        ("generator_id", pa.string()),
        ("setting", pa.string()),
        ("drawn", STRINGS),
        ("passing", STRINGS),
        ("cases", pa.int64()),
        ("valid_cases", pa.int64()),
        ("mean_agreement", pa.float64()),
        ("thresholds", pa.string()),
        ("limits", pa.string()),
        ("image", pa.string()),
        ("inputs_checked", pa.bool_()),
        ("checker_id", pa.string()),
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
        ("case_number", pa.int64()),
        ("stratum", pa.string()),
        ("input_digest", pa.string()),
        ("valid", pa.bool_()),
        ("reason_code", pa.string()),
        ("expected", pa.string()),
        ("agreeing", pa.int64()),
        ("ended_well", pa.int64()),
        ("distinct_outputs", pa.int64()),
    ],
)

SUITE_STRENGTH = table(
    "suite_strength",
    "profile problem_id",
    [
        *PROBLEM,
        ("held_out", pa.int64()),
        ("held_out_accepted", pa.int64()),
        ("wrong", pa.int64()),
        ("wrong_rejected", pa.int64()),
        ("weak", pa.int64()),
        ("weak_rejected", pa.int64()),
        ("mutants", pa.int64()),
        ("mutants_rejected", pa.int64()),
        ("mutants_equivalent", pa.int64()),
        ("survivors", STRINGS),
        ("reduced", pa.list_(pa.int64())),
        ("reduced_held_out_accepted", pa.int64()),
        ("reduced_wrong_rejected", pa.int64()),
        ("reduced_mutants_rejected", pa.int64()),
        ("fresh_mutants", pa.int64()),
        ("fresh_mutants_rejected", pa.int64()),
        ("further_inputs", pa.int64()),
    ],
)
"""`reduced` are case numbers in the order in which a reward runs them. `fresh_mutants` had no part in choosing them."""

MUTANTS = table(
    "mutants",
    "profile problem_id submission_id",
    [
        *PROBLEM,
        ("submission_id", pa.string()),
        ("origin", pa.string()),
        ("change", pa.string()),
        ("program", pa.string()),
        ("fate", pa.string()),
        ("killing_cases", pa.int64()),
    ],
)
"""Small changes to right programs, and what became of each: `rejected`, `equivalent` (no further input tells it apart) or
`survived` (a further input does, no case of the suite did)."""
