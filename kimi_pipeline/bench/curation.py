"""Speed of curation: a generated corpus through every stage that needs no model, and the near-duplicate chain beside others.

Belongs here: sizes, running each in a process of its own, the peers, the figures. Does not belong here: the rows
(`generated.py`), what the process does (`curation_job.py`), rivals (`benchmarks/minhash_chains.py`).

Each size runs in a home of its own, from a file of rows to a version of a prompt set. Peak memory is that of the process
and its workers together (PSS, so that shared pages count once), looked at five times a second.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from kimi_pipeline.bench import generated
from kimi_pipeline.bench.peers import BENCHMARKS, peer_python
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import LocalLauncher

NAME = "curation"
SIZES = (10_000, 100_000, 1_000_000)
CHAIN_ROWS = 20_000
CHAINS = ("datatrove", "datasketch")
MEASURED = ("cpu_seconds", "seconds")
CHAIN_ROUNDS = 5  # all chains in turn, so that a slow moment of the machine meets each of them


def measure(home: Home, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Problems a second over all stages, memory, growth with size; the near-duplicate chain's CPU seconds beside others'.

    `growth`: seconds a problem at the largest size over those at the next smaller one (1 is linear); `chain`: CPU seconds
    and seconds (medians of the rounds, and each round's), and what each finds of the planted rewordings on the same texts;
    a ratio is the median of the rounds' own. Raises UserError where the peers' venv can't be made.
    """
    own = Home(home.root / "bench" / NAME).prepare()
    runs = {}
    for size in sorted(sizes):
        print(f"bench {NAME}: {size:,} problems", file=sys.stderr, flush=True)
        runs[size] = _run(own, size)
    largest = runs[max(sizes)]
    chain = measure_chain(own, peer_python(home, "minhash", with_torch=False), max(sizes))
    ratios = {f"{name}_ratio": _ratio(chain, name, "cpu_seconds") for name in CHAINS}
    ratios |= {f"{name}_wall_ratio": _ratio(chain, name, "seconds") for name in CHAINS}
    by_size = {str(size): round(run["problems_per_second"]) for size, run in runs.items()}
    figures = {
        "problems_per_second": round(largest["problems_per_second"]),
        "peak_memory_mb": max(run["peak_memory_mb"] for run in runs.values()),
        "seconds": round(largest["seconds"], 1),
        "rows": max(sizes),
        "problems_per_second_by_rows": by_size,
        "growth": _growth(runs),
        **ratios,
        "stages": largest["stages"],
        "planted": largest["planted"],
        "chain": chain,
    }
    return {
        "name": NAME,
        "figures": figures,
        "peer": "MinHash chains of datatrove and datasketch, text to clusters, CPU seconds",
        "ratio": min(ratios[f"{name}_ratio"] for name in CHAINS),
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --rows {','.join(map(str, sorted(sizes)))}",
    }


def _growth(runs: dict[int, dict[str, Any]]) -> float | None:
    if len(runs) < 2:
        return None
    smaller, largest = (runs[size]["seconds"] / size for size in sorted(runs)[-2:])
    return round(largest / smaller, 3)


def _ratio(chain: dict[str, Any], name: str, measured: str) -> float:
    rounds = zip(chain[name]["rounds"], chain["ours"]["rounds"], strict=True)
    return round(median(peer[measured] / ours[measured] for peer, ours in rounds), 2)


def corpus(own: Home, rows: int) -> Path:
    return generated.write(own.root / "corpora" / f"{rows}.jsonl", rows)


def _run(own: Home, rows: int) -> dict[str, Any]:
    """The stages over a fresh home."""
    root = own.root / f"rows-{rows}"
    shutil.rmtree(root, ignore_errors=True)
    home = Home(root).prepare()
    spec = {"home": str(root), "corpus": str(corpus(own, rows)), "rows": rows}
    found = LocalLauncher(home.jobs).run("kimi_pipeline.bench.curation_job", spec)
    shutil.rmtree(root, ignore_errors=True)
    return found


def measure_chain(own: Home, python: Path, rows: int) -> dict[str, Any]:
    """Our chain and the peers', each in a process of its own, on whole clusters of the corpus of `rows` rows."""
    folder = own.root / "chain"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts, clusters = _texts(corpus(own, rows), CHAIN_ROWS / rows)
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    commands = {"ours": [sys.executable, "-m", "kimi_pipeline.bench.near_chain"]}
    commands |= {name: [str(python), str(BENCHMARKS / "minhash_chains.py")] for name in CHAINS}
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(CHAIN_ROUNDS):
        for name, command in commands.items():
            made[name].append(_chain(name, command, path, folder))
    found: dict[str, Any] = {"texts": len(texts)}
    for name, rounds in made.items():
        timed = [{measured: round(one[measured], 3) for measured in MEASURED} for one in rounds]
        found[name] = {measured: median(one[measured] for one in timed) for measured in MEASURED}
        found[name] |= {"rounds": timed} | quality(rounds[0]["clusters"], clusters)
    return found


def _chain(name: str, command: Sequence[str], texts: Path, folder: Path) -> dict[str, Any]:
    """What one chain's process says: seconds, CPU seconds, clusters."""
    spec, result, scratch = folder / f"{name}.json", folder / f"{name}.result.json", folder / name
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    spec.write_text(json.dumps({"chain": name, "texts": str(texts), "folder": str(scratch)}))
    done = subprocess.run([*command, str(spec), str(result)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise UserError(f"bench {NAME}: the chain of {name} failed: its output is above")
    said: dict[str, Any] = json.loads(result.read_text())
    return said


def quality(found: Sequence[Sequence[int]], truth: Sequence[int]) -> dict[str, float]:
    """Recall of the rows that repeat a problem (all rows but one of each true cluster), and the share of rows that would
    be dropped although they repeat nothing. `found`: clusters of row numbers; `truth`: the true cluster of each row."""
    repeats = len(truth) - len(set(truth))
    right = sum(len(rows) - len({truth[row] for row in rows}) for rows in found)
    dropped = sum(len(rows) - 1 for rows in found)
    return {
        "recall": round(right / repeats, 4) if repeats else 1.0,
        "wrongly_dropped_share": round((dropped - right) / len(truth), 4),
    }


def _texts(path: Path, share: float) -> tuple[list[str], list[int]]:
    """Texts and clusters of a share of the corpus, clusters whole."""
    texts, clusters = [], []
    step = max(1, round(1 / share))
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            if row["cluster"] % step == 0:
                texts.append(row["prompt"])
                clusters.append(row["cluster"])
    return texts, clusters
