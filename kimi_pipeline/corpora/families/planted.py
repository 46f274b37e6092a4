"""The built-in corpus as raw rows, with planted rows whose right treatment is known by construction.

Belongs here: which rows the corpus holds and in which number. Does not belong here: normalising, quarantine, verdicts.
A row is a dict with `row` (its name), `prompt`, `answer`, and where known `answer_kind`, `options`, `domain`,
`discipline`, `family`, `level`; `planted` is one of `PLANTED` or None; a malformed row also has `expected_reason`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

from kimi_pipeline.corpora.families.base import GUESSABLE, NOT_GUESSABLE, to_problem
from kimi_pipeline.corpora.families.drawing import items, seeded
from kimi_pipeline.corpora.families.malformed import malformed_rows
from kimi_pipeline.corpora.families.parity import PARITY
from kimi_pipeline.corpora.families.registry import FAMILIES, chosen, to_evaluate
from kimi_pipeline.corpora.families.unsuitable import multiple_choice_row, proof_row, true_false_row
from kimi_pipeline.problems import Problem

MULTIPLE_CHOICE = "multiple_choice"
TRUE_FALSE = "true_false"
PROOF = "proof"
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
EVALUATION_COPY = "evaluation_copy"
MALFORMED = "malformed"
WRONG_REFERENCE = "wrong_reference"
PLANTED = (
    GUESSABLE,
    NOT_GUESSABLE,
    MULTIPLE_CHOICE,
    TRUE_FALSE,
    PROOF,
    EXACT_DUPLICATE,
    NEAR_DUPLICATE,
    EVALUATION_COPY,
    MALFORMED,
    WRONG_REFERENCE,
)
UNSUITABLE = {MULTIPLE_CHOICE: multiple_choice_row, TRUE_FALSE: true_false_row, PROOF: proof_row}

LEAST_PLANTED = 12
PLANTED_SHARE = 40 / 500  # rows of each planted kind for each row of a family
WRONG_SHARE = 0.02  # wrong references, of all rows of the families
LEAST_WRONG = 4


def planted_count(problems_per_family: int) -> int:
    """How many rows of each planted kind a corpus of this size holds."""
    return max(LEAST_PLANTED, round(PLANTED_SHARE * problems_per_family))


def builtin_rows(
    seed: int,
    problems_per_family: int,
    held_out_share: float,
    evaluation_rows: Sequence[Problem],
    max_text_bytes: int = 1_000_000,
    families: Sequence[str] = tuple(FAMILIES),
) -> Iterator[dict[str, Any]]:
    """All rows of the built-in corpus: the families' training side, then the planted rows.

    `evaluation_rows` are the held-out problems that the evaluation uses; some are copied in, as `evaluation_copy`.
    Originals come before their duplicates. Same arguments, same rows. Raises UserError as `drawing.items` does.
    """
    count = planted_count(problems_per_family)
    rng = seeded("planted rows", seed)
    used = chosen(families)
    drawn = {name: items(seed, family, problems_per_family, False, held_out_share) for name, family in used.items()}
    wrong = max(LEAST_WRONG, round(WRONG_SHARE * problems_per_family * len(used)))
    originals: dict[str, dict[str, Any]] = {}
    for name, of_family in drawn.items():
        for number, item in enumerate(of_family):
            problem = to_problem(used[name], item, f"{name}/{number}")
            originals.setdefault(problem.problem_id, row_of(problem))
    yield from originals.values()

    for kind, make in UNSUITABLE.items():
        seen: set[str] = set()
        while len(seen) < count:
            fields = make(len(seen), rng)
            if fields["prompt"] not in seen:
                seen.add(fields["prompt"])
                yield {"row": f"{kind}/{len(seen) - 1}", **fields, "planted": kind}

    for number, original in enumerate(rng.sample(list(originals.values()), min(count, len(originals)))):
        yield _copy(original, f"{EXACT_DUPLICATE}/{number}", EXACT_DUPLICATE, number, rng)

    near = 0
    hard = [(family, item) for family in to_evaluate(used.values()) for item in drawn[family.name]]
    for family, item in rng.sample(hard, len(hard)):
        problem = to_problem(family, item, "")
        reworded = {**row_of(problem), "row": f"{NEAR_DUPLICATE}/{near}", "prompt": family.reworded(item)}
        if Problem("", "", reworded["prompt"], "", "none").problem_id not in originals:
            near += 1
            yield {**reworded, "planted": NEAR_DUPLICATE}
        if near == count:
            break

    for number, problem in enumerate(rng.sample(list(evaluation_rows), min(count, len(evaluation_rows)))):
        yield _copy(row_of(problem), f"{EVALUATION_COPY}/{number}", EVALUATION_COPY, number, rng)

    if PARITY.name in used:
        # The first rows of a family are the same however many are drawn, so these are none of the originals. Only a family
        # that the laptop's model is able in can show that its samples find them.
        for number, item in enumerate(
            items(seed, PARITY, problems_per_family + wrong, False, held_out_share)[problems_per_family:]
        ):
            problem = to_problem(PARITY, item, f"{WRONG_REFERENCE}/{number}")
            yield {**row_of(problem), "answer": str(1 - int(item.answer)), "planted": WRONG_REFERENCE}

    for number, row in enumerate(malformed_rows(count, max_text_bytes)):
        yield {"row": f"{MALFORMED}/{number}", **row, "planted": MALFORMED}


def row_of(problem: Problem) -> dict[str, Any]:
    """A problem as a raw row."""
    return {
        "row": problem.source_row,
        "prompt": problem.prompt,
        "answer": problem.answer,
        "answer_kind": problem.answer_kind,
        "options": None,
        "domain": problem.domain,
        "discipline": problem.discipline,
        "family": problem.labels.get("family"),
        "level": problem.labels.get("level"),
        "planted": problem.planted,
    } | _programs(problem)


def _programs(problem: Problem) -> dict[str, Any]:
    """A coding problem has submissions in the place of an answer."""
    if not problem.submissions:
        return {}
    return {
        "answer": None,
        "submissions": [asdict(one) for one in problem.submissions],
    }


def _copy(original: dict[str, Any], name: str, planted: str, number: int, rng: Random) -> dict[str, Any]:
    """The same text, for every other row with other white space: still the same problem id."""
    prompt = original["prompt"]
    if number % 2:
        prompt = "  " + re.sub(r"\s", lambda space: rng.choice((" ", "  ", "\n", "\t", " \n", "\u00a0")), prompt) + "\n"
    return {**original, "row": name, "prompt": prompt, "planted": planted}
