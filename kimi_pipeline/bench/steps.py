"""What the rule that estimates steps knows, and what its filter would refuse, on corpora that say how hard their rows are.

Belongs here: those figures. Does not belong here: the rule (`curation/steps.py`), the filter (`curation/rich_reasoning.py`).

The rule's weights come from the even rows of GSM8K train and MATH train: those corpora count with their odd rows alone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.real_rows import data_folder, read
from kimi_pipeline.curation.steps import steps_by_rules

NAME = "steps"
LEAST_STEPS = 2.0  # the threshold whose effect is shown
LEAST_ROWS = 30  # of a level, for its share to be shown


def calculations(row: dict[str, Any]) -> float:
    """The steps of a worked answer of GSM8K: each calculation stands in `<<...>>`."""
    return float(row["answer"].count("<<"))


def level(row: dict[str, Any]) -> float:
    return float(row["difficulty"])


CORPORA: tuple[tuple[str, str, Callable[[dict[str, Any]], float], bool], ...] = (
    ("gsm8k_train", "question", calculations, True),
    ("gsm8k_test", "question", calculations, False),
    ("math_train", "problem", level, True),
    ("math500", "problem", level, False),
    ("aime_1983_2023", "problem", level, False),
)
"""File, prompt, what is known of a row's difficulty, whether its even rows gave the weights."""


def measure(data: Path | None) -> dict[str, Any]:
    """The bench. For each corpus Spearman's rank correlation, the share refused below `LEAST_STEPS`, also by level.

    Raises UserError without data.
    """
    from scipy.stats import spearmanr

    data = data_folder(data, f"bench {NAME}", [one[0] for one in CORPORA])
    figures: dict[str, Any] = {}
    spent, scored = 0.0, 0
    for name, prompt, known, fitted in CORPORA:
        rows = read(data / f"{name}.jsonl", prompt)
        rows = rows[1::2] if fitted else rows
        levels = [known(row) for row in rows]
        started = time.process_time()
        steps = [round(steps_by_rules(row[prompt]), 2) for row in rows]
        spent, scored = spent + time.process_time() - started, scored + len(rows)
        refused: dict[float, list[bool]] = defaultdict(list)
        for found, at in zip(steps, levels, strict=True):
            refused[at].append(found < LEAST_STEPS)
        figures[name] = {
            "rows": len(rows),
            "rank_correlation": round(float(spearmanr(steps, levels).statistic), 3),
            "refused": round(sum(map(sum, refused.values())) / len(rows), 3),
            "refused_by_level": {
                f"{at:g}": round(sum(found) / len(found), 3)
                for at, found in sorted(refused.items())
                if len(found) >= LEAST_ROWS
            },
        }
    figures["core_microseconds_a_row"] = round(spent / scored * 1e6, 1)
    return {
        "name": NAME,
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --data {data}",
    }
