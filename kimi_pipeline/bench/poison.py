"""Poison: bombs among ordinary answers, as a policy or a corpus may bring them: `kimi-pipeline bench poison`.

Belongs here: the bombs, ordinary pairs with known truth, feeding a verifier with both. Does not belong here: limits and
rules (`rewards/`).

An ordinary pair is right or wrong by how it was made. A bomb may end as `unverifiable` with its reason, or as `wrong`
where a rule sees through it without working it out; it must never be `correct`, and never take a neighbour with it.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kimi_pipeline.rewards.contract import Status
from kimi_pipeline.rewards.pool import Pool
from kimi_pipeline.rewards.verifier import Verdict, Verifier
from kimi_pipeline.rewards.worker_process import Limits

NAME = "poison"
BOMBS: dict[str, Callable[[int], str]] = {
    "power tower": lambda n: f"9^{{9^{{9^{{{9 + n}}}}}}}",
    "plain power tower": lambda n: f"{7 + n}^({n + 9}^(9^9))",
    "factorial": lambda n: f"({10**9 + n})!",
    "factorial of a factorial": lambda n: f"(({50 + n})!)!",
    "binomial": lambda n: f"\\binom{{{10**9 + n}}}{{{5 * 10**8}}}",
    "deep parentheses": lambda n: "(" * (400 + n) + "x+1" + ")" * (400 + n),
    "deep fractions": lambda n: "\\frac{1}{1+" * (120 + n % 20) + "x" + "}" * (120 + n % 20),
    "deep roots": lambda n: "\\sqrt{2+" * (150 + n % 30) + "x" + "}" * (150 + n % 30),
    "expansion": lambda n: f"(x+y+z+1)^{{{3000 + n}}}",
    "long number": lambda n: "7" * (1_000_000 + n),
    "long formula": lambda n: "x+" * (500_000 + n) + "x",
    "long list": lambda n: ",".join(str(i) for i in range(200_000 + n)),
    "regex trap": lambda n: "1 " * (900 + n % 50) + "!",
    "regex trap with commas": lambda n: "1,111" * (300 + n % 50) + "x",
    "nested text": lambda n: "\\text{" * (200 + n % 50) + "}" * (200 + n % 50),
    "nested logarithms": lambda n: f"\\log_{{2}}({3 + n}^{{{3 + n}^{{{3 + n}^{{9}}}}}})",
}


@dataclass
class Fed:
    """What came back. `wrong`: ordinary pairs with a false or no verdict; `undead`: bombs that came out `correct` or as a
    failure of ours. `slowest` is the longest wait for one group in wall seconds."""

    pairs: int = 0
    bombs: int = 0
    wrong: list[str] = field(default_factory=list)
    undead: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def ordinary(rng: random.Random) -> tuple[str, str, bool]:
    """(reference, answer, right) by construction; about half go to a worker."""
    a, b, right = rng.randint(2, 999), rng.randint(2, 99), rng.random() < 0.5
    off = 0 if right else rng.randint(1, 5)
    form = rng.randrange(5)
    if form == 0:
        return str(a), rng.choice([f"{a + off}.0", f"${a + off}$", f"{a + off} apples"]), right
    if form == 1:
        return f"\\frac{{{a}}}{{{b}}}", f"\\frac{{{2 * a + off}}}{{{2 * b}}}", right
    if form == 2:
        return f"x^2-{a * a}", f"(x+{a})(x-{a + off})", right
    if form == 3:
        return f"{a}\\sqrt{{2}}", f"\\sqrt{{{2 * (a + off) ** 2}}}", right
    return f"({a},{b})", f"({a}.0, {b + off})", right


def feed(verifier: Verifier, pairs: int, bombs: int, seed: int) -> Fed:
    """Ask `pairs` questions, `bombs` of which are bombs in the place of an answer, in groups of one."""
    rng = random.Random(seed)
    kinds = list(BOMBS.items())
    places = set(rng.sample(range(pairs), bombs))
    fed = Fed(pairs=pairs, bombs=bombs)
    groups: list[tuple[str, list[str], str]] = []
    expected: list[tuple[str | None, bool]] = []
    for place in range(pairs):
        reference, answer, right = ordinary(rng)
        bomb = None
        if place in places:
            bomb, make = kinds[len([one for one in expected if one[0]]) % len(kinds)]
            answer = make(seed * 31 + place % 97)
        groups.append((reference, [answer], "expression"))
        expected.append((bomb, right))
    for chunk in range(0, pairs, 100):
        started = time.monotonic()
        for (verdict,), (bomb, right), group in zip(
            verifier.verify_groups(groups[chunk : chunk + 100]),
            expected[chunk : chunk + 100],
            groups[chunk : chunk + 100],
            strict=True,
        ):
            _count(fed, verdict, bomb, right, f"{group[0]} | {group[1][0][:80]}")
        fed.slowest = max(fed.slowest, time.monotonic() - started)
    return fed


def _count(fed: Fed, verdict: Verdict, bomb: str | None, right: bool, text: str) -> None:
    name = str(verdict.status) + (f":{verdict.reason}" if verdict.reason else "")
    if bomb is None:
        if verdict.status is not (Status.CORRECT if right else Status.WRONG):
            fed.wrong.append(f"{text}: {name}")
        return
    fed.statuses[f"{bomb}: {name}"] += 1
    if verdict.status not in (Status.UNVERIFIABLE, Status.WRONG) or (
        verdict.status is Status.UNVERIFIABLE and verdict.reason is None
    ):
        fed.undead.append(f"{bomb}: {name}")


class Watch:
    """The largest resident memory of all workers of a pool together, looked at ten times a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._stop = pool, threading.Event()
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.peak_mb = max(self.peak_mb, sum(resident_mb(pid) for pid in self._pool.pids))


def resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0


def measure(pairs: int = 10_000, share: float = 0.01) -> dict[str, Any]:
    """All of it from the main thread, then a tenth from eight threads and a tenth from an event loop."""
    pool = Pool(Limits())
    started = time.monotonic()
    with Watch(pool) as watch:
        whole = feed(Verifier(lambda: pool), pairs, int(pairs * share), seed=0)
        seconds = time.monotonic() - started
        part, results = pairs // 80, []
        threads = [
            threading.Thread(target=lambda n=n: results.append(feed(Verifier(lambda: pool), part, 2, seed=n)))
            for n in range(1, 9)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

        async def loops() -> list[Fed]:
            return await asyncio.gather(
                *(asyncio.to_thread(feed, Verifier(lambda: pool), part, 2, n) for n in range(11, 19))
            )

        results += asyncio.run(loops())
    pool.close()
    everything = [whole, *results]
    figures = {
        "pairs": sum(fed.pairs for fed in everything),
        "bombs": sum(fed.bombs for fed in everything),
        "false_or_missing_verdicts": sum(len(fed.wrong) for fed in everything),
        "bombs_without_their_status": sum(len(fed.undead) for fed in everything),
        "seconds": round(seconds, 1),
        "slowest_hundred_seconds": round(whole.slowest, 1),
        "peak_memory_mb": round(watch.peak_mb),
        "bombs_ended_as": dict(sorted(whole.statuses.items())),
        "examples": [text for fed in everything for text in (*fed.wrong, *fed.undead)][:10],
    }
    return {
        "name": NAME,
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": "kimi-pipeline bench poison --json",
    }
