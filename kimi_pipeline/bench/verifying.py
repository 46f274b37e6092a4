"""How fast verdicts are, beside math-verify one by one: `kimi-pipeline bench verifier`.

Belongs here: the three measurements and their ratios. Does not belong here: the responses (`responses.py`), math-verify
itself (`plain.py`), whether the two agree (`agreement.py`).

Every pair of a reference and a whole response is judged once: both sides look for the answer and compare it, both have
imported and warmed their parser before, neither has a verdict in a cache. `mix`: all pairs, one group after the other.
`slow`: the pairs whose verdict takes a worker, each a group of its own. `grouped`: their answers in groups of eight, k as in RL,
each group against one reference of theirs, which ours parses once and math-verify for each answer (a model this small seldom
gives one problem more than one answer that takes a worker). All three are measured in rounds, each round with fresh processes
for both sides; ratios are medians of each round's own, since one round takes a second or two.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kimi_pipeline.bench.plain import sequential
from kimi_pipeline.bench.responses import SAMPLES, Group, responses
from kimi_pipeline.corpora.normalise import answer_kind
from kimi_pipeline.home import Home
from kimi_pipeline.rewards.extraction import extract_answer
from kimi_pipeline.rewards.pool import Pool
from kimi_pipeline.rewards.verifier import Verdict, Verifier
from kimi_pipeline.rewards.worker_process import Limits

NAME = "verifier"
Asked = tuple[str, list[str]]  # a reference and whole responses


def measure(home: Home, data: Path | None, model: Path | None, problems: int = 100, rounds: int = 5) -> dict[str, Any]:
    """Seconds and ratios, medians of `rounds`, on the model's responses to `problems` of each set in `data`.

    Raises UserError where the responses are not there and can't be drawn.
    """
    mix = [_distinct(group) for group in responses(home, problems, data, model)]
    _, verdicts, counts = _ours(mix)
    slow = [
        (reference, text)
        for (reference, texts), judged in zip(mix, verdicts, strict=True)
        for text, verdict in zip(texts, judged, strict=True)
        if not verdict.fast
    ]
    alone = [(reference, [text]) for reference, text in slow]
    eights = [slow[start : start + SAMPLES] for start in range(0, len(slow), SAMPLES)]
    grouped = [(eight[0][0], [text for _, text in eight]) for eight in eights]
    found = [_round(mix, alone, grouped) for _ in range(rounds)]
    middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
    ratios = {
        f"ratio_{name}": round(statistics.median(each[f"plain_{name}"] / each[name] for each in found), 2)
        for name in ("mix", *(("slow", "grouped") if slow else ()))
    }
    pairs = sum(len(texts) for _, texts in mix)
    figures = ratios | {
        "pairs": pairs,
        "slow_pairs": len(slow),
        "fast_share": round(counts["fast"] / pairs, 4),
        "pairs_per_second": round(pairs / middle["mix"], 1),
        "seconds": {name: round(value, 3) for name, value in middle.items()},
        "rounds": [{name: round(value, 3) for name, value in each.items()} for each in found],
        "verdicts": {name: count for name, count in sorted(counts.items()) if name not in ("fast", "slow")},
    }
    return {
        "name": NAME,
        "figures": figures,
        "peer": "math-verify",
        "ratio": ratios["ratio_mix"],
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --data {data} --model {model} --problems {problems} --json",
    }


def _round(mix: Sequence[Asked], slow: Sequence[Asked], grouped: Sequence[Asked]) -> dict[str, float]:
    """Seconds of all measurements once, the two sides in turn."""
    found = {}
    for name, groups in (("mix", mix), ("slow", slow), ("grouped", grouped)):
        found[name] = _ours(groups)[0]
        found[f"plain_{name}"] = _plain(groups)
    return found


def _distinct(group: Group) -> Asked:
    """Each pair once: a text that occurs twice would be in a cache."""
    assert len(group["responses"]) == SAMPLES
    return group["reference"], list(dict.fromkeys(group["responses"]))


def _ours(groups: Sequence[Asked]) -> tuple[float, list[list[Verdict]], dict[str, int]]:
    """Wall seconds of a cold verifier with warm workers, its verdicts and counts."""
    pool = Pool(Limits())
    for task in [pool.submit(f"\\sqrt{{{n}}}", [f"{n}^{{1/2}}"], "") for n in range(2, 2 + 8 * pool.limits.workers)]:
        task.result()
    verifier = Verifier(lambda: pool)
    started = time.perf_counter()
    asked = [
        (reference, [extract_answer(text) for text in texts], answer_kind(reference)) for reference, texts in groups
    ]
    found = verifier.verify_groups(asked)
    seconds = time.perf_counter() - started
    pool.close()
    return seconds, found, dict(verifier.counts)


def _plain(groups: Sequence[Asked]) -> float:
    return sequential([(reference, text) for reference, texts in groups for text in texts]).seconds
