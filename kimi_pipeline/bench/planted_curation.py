"""What curation finds of what is planted: rewordings, problems with other numbers, copies of evaluation problems.

Belongs here: planting into real or drawn texts, recall and precision. Does not belong here: the edits (`planting.py`),
the rules (`curation/near.py`, `curation/overlap.py`).

Drawn texts are made for the edits. Real texts (`--data`) are not: some have nothing that an edit could change, and those
are left out and counted. Two real problems that are each other's rewording before anything is planted count as wrong
where they are merged, so the figures for `kept` are lower bounds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kimi_pipeline.bench import planting
from kimi_pipeline.bench.near_chain import chain
from kimi_pipeline.bench.real_rows import FIELDS, data_folder, read
from kimi_pipeline.corpora.normalise import final_answer
from kimi_pipeline.curation.overlap import EvaluationIndex, matches

NAME = "planted"
EDITS = ("words", "swapped", "reordered", "latex")
BEFORE = "Read the following carefully and show all of your work. "
AFTER = " Explain each step, then write the final result on a line of its own."


def texts(data: Path | None, count: int, rng: random.Random) -> dict[str, str | None]:
    """`count` different texts with their answers: drawn ones (without), or a sample of GSM8K and MATH in a folder. Raises
    UserError naming a file that can't be read."""
    if data is None:
        return dict.fromkeys(planting.problems(count, rng))
    found: dict[str, str | None] = {}
    data = data_folder(data, f"bench {NAME}", [name for name, _, _ in FIELDS])
    for name, field, answer in FIELDS:
        rows = read(data / f"{name}.jsonl", field, answer)
        found.update((row[field], final_answer(str(row[answer] or "")) or None) for row in rows)
    return {text: found[text] for text in rng.sample(sorted(found), min(count, len(found)))}


def near_duplicates(given: Mapping[str, str | None], rng: random.Random) -> dict[str, dict[str, float]]:
    """For each kind of edit: the share of rewordings that meet their original, and how many were planted; for
    `other_numbers`: the share of texts that stay apart from the one they were made of.

    Nothing is said of answers there. `other_numbers_answered` is the case of a corpus with references: the original has its
    own, the copy another by construction (what its true one is, nobody knows).
    """
    originals, found = list(given), {}
    for kind in EDITS:
        pairs = _changed(originals, partial(planting.reworded, kind=kind, rng=rng))
        found[kind] = {"recall": _meeting(pairs), "n": len(pairs)}
    pairs = _changed(
        [text for text in originals if any(each.isdigit() for each in text)],
        partial(planting.other_numbers, rng=rng),
    )
    found["other_numbers"] = {"kept": round(1 - _meeting(pairs), 4), "n": len(pairs)}
    answered = [pair for pair in pairs if given[pair[0]]]
    if answered:
        both = [each for text, _ in answered for each in (given[text], f"{given[text]} + 1")]
        found["other_numbers_answered"] = {"kept": round(1 - _meeting(answered, both), 4), "n": len(answered)}
    return found


def contamination(originals: Sequence[str], rng: random.Random) -> dict[str, dict[str, float]]:
    """Half of the texts are evaluation problems, planted whole in another text, as a piece, and lightly edited; of the
    other half, how many are refused: `wrongly_refused`."""
    half = len(originals) // 2
    known, others = list(originals[:half]), list(originals[half:])
    index = EvaluationIndex(["planted"] * half, [str(k) for k in range(half)], known, [""] * half)
    planted: dict[str, list[tuple[str, str]]] = {
        "embedded": [(text, f"{BEFORE}{text}{AFTER}") for text in known],
        "piece": [(text, _piece(text)) for text in known if len(text.split()) >= 25],
    }
    planted |= {kind: _changed(known, partial(planting.reworded, kind=kind, rng=rng)) for kind in EDITS}
    planted["paraphrase"] = _changed(known, partial(paraphrase, rng=rng))
    found: dict[str, dict[str, float]] = {}
    for kind, pairs in planted.items():
        caught = _refused(index, [changed for _, changed in pairs])
        found[kind] = {"recall": round(caught / max(1, len(pairs)), 4), "n": len(pairs)}
    found["others"] = {"wrongly_refused": round(_refused(index, others) / max(1, len(others)), 4), "n": len(others)}
    return found


def paraphrase(text: str, rng: random.Random) -> str:
    """Every word that has a synonym replaced, sentences moved, neighbours exchanged: more than a light edit, less than
    what a language model would write."""
    words = [planting.SYNONYMS.get(word.lower(), word) for word in text.split(" ")]
    changed = " ".join(words)
    for kind in ("reordered", "swapped", "swapped", "swapped"):
        changed = planting.reworded(changed, kind, rng)
    return changed


def _piece(text: str) -> str:
    """The text without its first and last few words."""
    words = text.split()
    return " ".join(words[2:-2])


def _changed(originals: Sequence[str], edit: Callable[[str], str]) -> list[tuple[str, str]]:
    """Texts with their edits, without those that the edit leaves as they are."""
    pairs = []
    for text in originals:
        if " " in text.strip() and (changed := edit(text)) != text:
            pairs.append((text, changed))
    return pairs


def _meeting(pairs: Sequence[tuple[str, str]], answers: Sequence[str | None] | None = None) -> float:
    """The share of pairs whose two texts are in one cluster. `answers`: of the pairs' texts, one after the other."""
    clusters = chain([text for pair in pairs for text in pair], answers)
    of = {row: number for number, rows in enumerate(clusters) for row in rows}
    met = sum(of.get(2 * k, -1) == of.get(2 * k + 1, -2) for k in range(len(pairs)))
    return round(met / max(1, len(pairs)), 4)


def _refused(index: EvaluationIndex, changed: list[str]) -> int:
    ids = [f"row {k}" for k in range(len(changed))]
    return sum(match is not None for match in matches(index, ids, changed, [None] * len(changed)))


def measure(data: Path | None, count: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The bench. Raises UserError where `data` can't be read."""
    rng = random.Random(seed)
    originals = texts(data, count, rng)
    given = f" --data {data}" if data else ""
    return {
        "name": NAME,
        "figures": {
            "texts": len(originals),
            "near_duplicates": near_duplicates(originals, rng),
            "contamination": contamination(list(originals), rng),
        },
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --rows {count}{given}",
    }
