"""The verifier beside plain math-verify on real references: `kimi-pipeline bench agreement`.

Belongs here: restyled and perturbed copies of the references of GSM8K and MATH, the comparison. Does not belong here:
speed (`verifying.py`), math-verify itself (`plain.py`).

Where both decide they must agree; the differences are shown whole, for a person to say who is right.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.plain import sequential
from kimi_pipeline.bench.real_rows import GSM8K, MATH, data_folder, read
from kimi_pipeline.corpora.normalise import answer_kind
from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.pool import Pool
from kimi_pipeline.rewards.verifier import Verifier
from kimi_pipeline.rewards.worker_process import Limits

NAME = "agreement"
DECIDED = (Status.CORRECT, Status.WRONG)


def references(data: Path) -> list[str]:
    """The final answers of GSM8K's and MATH's training splits in a folder, as they stand there."""
    answers = {name: [row["answer"] for row in read(data / f"{name}.jsonl", "answer")] for name in (MATH, GSM8K)}
    found = answers[MATH] + [answer.rpartition("####")[2].strip() for answer in answers[GSM8K]]
    return [answer for answer in found if answer]


def copies(reference: str, rng: random.Random) -> Iterator[str]:
    """The reference itself, in other styles, and with one number changed."""
    yield reference
    yield reference.replace("\\frac", "\\dfrac")
    if re.fullmatch(r"-?\d+", reference):
        value = int(reference)
        yield from (f"{reference}.0", f"{value:,}", f"x = {reference}", f"\\frac{{{2 * value}}}{{2}}")
        yield from (str(value + 1), str(-value - 1), f"{reference}0")
    elif found := re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", reference):
        sign, top, bottom = found[1], int(found[2]), int(found[3])
        yield from (f"{sign}{top}/{bottom}", f"{sign}\\frac{{{2 * top}}}{{{2 * bottom}}}")
        yield from (f"{sign}\\frac{{{top + 1}}}{{{bottom}}}", f"{sign}\\frac{{{bottom}}}{{{top}}}")
    else:
        if numbers := list(re.finditer(r"\d+", reference)):
            one = rng.choice(numbers)
            yield f"{reference[: one.start()]}{int(one[0]) + 1}{reference[one.end() :]}"
        yield reference.replace("+", " + ")
        if "\\sqrt" in reference:
            yield re.sub(r"\\sqrt\{(\d+)\}", r"{\1}^{1/2}", reference)


def pairs(data: Path, number: int, seed: int = 0) -> list[tuple[str, str]]:
    """(reference, answer), one copy of each of `number` references."""
    rng = random.Random(seed)
    found = references(data)
    rng.shuffle(found)
    return [(reference, rng.choice(list(copies(reference, rng)))) for reference in found[:number]]


def measure(data: Path | None, number: int = 5000) -> dict[str, Any]:
    """Agreement where both decide, and what each leaves open. Raises UserError without the data."""
    data = data_folder(data, f"bench {NAME}", (GSM8K, MATH))
    asked = pairs(data, number)
    plain = sequential([(reference, f"\\boxed{{{answer}}}") for reference, answer in asked])
    pool = Pool(Limits())
    verifier = Verifier(lambda: pool)
    found = [one for (one,) in verifier.verify_groups([(ref, [answer], answer_kind(ref)) for ref, answer in asked])]
    pool.close()
    both = [place for place, one in enumerate(found) if one.status in DECIDED and plain.verdicts[place] is not None]
    apart = [place for place in both if (found[place].status is Status.CORRECT) is not plain.verdicts[place]]
    figures = {
        "pairs": len(asked),
        "both_decide": len(both),
        "agreement": round(1 - len(apart) / len(both), 5),
        "undecided": sum(one.status not in DECIDED for one in found),
        "undecided_by_math_verify": plain.verdicts.count(None),
        "fast_share": round(verifier.counts["fast"] / len(asked), 4),
        "differences": [[*asked[place], str(found[place].status)] for place in apart][:20],
        "left_open": [list(asked[place]) for place, one in enumerate(found) if one.status not in DECIDED][:20],
    }
    return {
        "name": NAME,
        "figures": figures,
        "peer": "math-verify",
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --data {data} --json",
    }
