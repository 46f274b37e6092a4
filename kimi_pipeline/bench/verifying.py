"""How fast verdicts are, beside math-verify one by one: `kimi-pipeline bench verifier`.

Belongs here: the three measurements and their ratios. Does not belong here: the responses (`responses.py`), math-verify
itself (`plain.py`), whether the two agree (`agreement.py`).

Every pair of a reference and a whole response is judged once: both sides look for the answer and compare it, both have
imported and warmed their parser before, neither has a verdict in a cache. `mix`: all pairs, one group after the other.
`slow`: the pairs whose verdict takes a worker, each a group of its own. `grouped`: the same, the answers to one problem
as one group, against math-verify parsing the reference for each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
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


def measure(home: Home, problems: int = 100) -> dict[str, Any]:
    """Seconds and ratios, on the responses to `problems` of each set.

    Raises UserError where the responses are not there and can't be drawn.
    """
    mix = [_distinct(group) for group in responses(home, problems)]
    seconds, verdicts, counts = _ours(mix)
    slow = [
        (reference, [text for text, verdict in zip(texts, found, strict=True) if not verdict.fast])
        for (reference, texts), found in zip(mix, verdicts, strict=True)
    ]
    slow = [group for group in slow if group[1]]
    alone = [(reference, [text]) for reference, texts in slow for text in texts]
    plain, plain_slow = _plain(mix), _plain(slow)
    slow_seconds, grouped_seconds = _ours(alone)[0], _ours(slow)[0]
    pairs = sum(len(texts) for _, texts in mix)
    ratio = plain / seconds
    figures = {
        "ratio_mix": round(ratio, 2),
        "ratio_slow": round(plain_slow / slow_seconds, 2) if alone else None,
        "ratio_grouped": round(plain_slow / grouped_seconds, 2) if alone else None,
        "pairs": pairs,
        "slow_pairs": len(alone),
        "fast_share": round(counts["fast"] / pairs, 4),
        "pairs_per_second": round(pairs / seconds, 1),
        "seconds": round(seconds, 2),
        "math_verify_seconds": round(plain, 2),
        "verdicts": {name: count for name, count in sorted(counts.items()) if name not in ("fast", "slow")},
    }
    return {
        "name": NAME,
        "figures": figures,
        "peer": "math-verify",
        "ratio": round(ratio, 2),
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --problems {problems} --json",
    }


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
