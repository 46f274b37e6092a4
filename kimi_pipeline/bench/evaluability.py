"""Evaluability's figures: precision and recall a class on labelled rows, false verdicts on real corpora, cost.

Belongs here: those figures. Does not belong here: the rules (`curation/evaluability.py`).
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.real_rows import FIELDS, data_folder, read
from kimi_pipeline.corpora.normalise import final_answer
from kimi_pipeline.curation.evaluability import evaluate
from kimi_pipeline.errors import UserError
from kimi_pipeline.reasons import Reason

REPORTED = (Reason.MULTIPLE_CHOICE, Reason.TRUE_FALSE, Reason.PROOF)  # the report's own three
CHOICES = "aqua_test"
# Told apart from the rules on purpose: a second option mark anywhere, or a bare letter as the answer.
_LISTED = re.compile(r"\(?\bB ?\}?[).]|\(b\)")
_LETTERS = re.compile(r"(?:\\text\{)?\(?[A-H]\)?(?:, ?[A-H])*\}?,?")


def classes(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Precision and recall of each class on rows with prompt, answer and label; `n` rows have that label."""
    found = Counter((row["label"], str(evaluate(row["prompt"], row["answer"])[0])) for row in rows)
    result = {}
    for label in sorted({label for label, _ in found}):
        right = found[label, label]
        labelled = sum(n for (wanted, _), n in found.items() if wanted == label)
        given = sum(n for (_, verdict), n in found.items() if verdict == label)
        precision = round(right / given, 3) if given else 0.0
        result[label] = {"precision": precision, "recall": round(right / labelled, 3), "n": labelled}
    return result


def doubtful_verdicts(rows: list[dict[str, Any]], prompt: str, answer: str) -> list[dict[str, str]]:
    """Multiple-choice, true/false and proof verdicts on rows without a list of options: false ones are among these."""
    listed = []
    for row in rows:
        reference = final_answer(str(row[answer] or "")) or ""
        reason, where = evaluate(row[prompt], reference)
        if reason in REPORTED and not (_LISTED.search(row[prompt]) or _LETTERS.fullmatch(reference)):
            listed.append({"verdict": str(reason), "at": where, "prompt": row[prompt][:120], "answer": reference})
    return listed


def caught(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The share of AQuA's rows caught as multiple choice: with the options as a field, and in two ways in the text."""
    shapes = {
        "options_as_a_field": [(row["question"], row["options"]) for row in rows],
        "options_in_lines": [("\n".join((row["question"], *row["options"])), ()) for row in rows],
        "options_in_a_row": [(f"{row['question']} {' '.join(row['options'])}", ()) for row in rows],
    }
    return {
        name: sum(
            evaluate(text, row["correct"], given)[0] is Reason.MULTIPLE_CHOICE
            for (text, given), row in zip(shape, rows, strict=True)
        )
        / len(rows)
        for name, shape in shapes.items()
    }


def measure(data: Path | None, labelled: Path | None) -> dict[str, Any]:
    """The bench: figures as `{"name", "figures", "peer", "ratio", "machine", "command"}`. Raises UserError without data."""
    data = data_folder(data, "bench evaluability", (*(name for name, _, _ in FIELDS), CHOICES))
    if labelled is None:
        raise UserError("bench evaluability needs --labelled FILE")
    figures: dict[str, Any] = {
        "classes": classes(read(labelled, "prompt", "answer", "label")),
        "aqua_caught": caught(read(data / f"{CHOICES}.jsonl", "question", "options", "correct")),
    }
    seconds, judged = 0.0, 0
    for name, prompt, answer in FIELDS:
        rows = read(data / f"{name}.jsonl", prompt, answer)
        spent = time.process_time()
        verdicts = Counter(str(evaluate(row[prompt], final_answer(str(row[answer] or "")) or "")[0]) for row in rows)
        seconds, judged = seconds + time.process_time() - spent, judged + len(rows)
        doubtful = doubtful_verdicts(rows, prompt, answer)
        figures[name] = {"verdicts": dict(verdicts), "doubtful": doubtful, "doubtful_share": len(doubtful) / len(rows)}
    figures["core_microseconds_a_row"] = round(seconds / judged * 1e6, 1)
    return {
        "name": "evaluability",
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench evaluability --data {data} --labelled {labelled}",
    }
