"""Our near-duplicate chain alone, text to clusters, in one process: what `bench curation` holds beside its peers'.

    python -m kimi_pipeline.bench.near_chain SPEC RESULT        # both as benchmarks/minhash_chains.py has them

Belongs here: the chain's steps without a lake. Does not belong here: the stage (`curation/duplicates.py`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from kimi_pipeline.curation.near import clusters, signatures


def chain(texts: list[str], answers: Sequence[str | None] | None = None) -> list[list[int]]:
    """Clusters of row numbers, by texts alone where no answers are given."""
    ids = [str(row) for row in range(len(texts))]
    known = pa.array(answers or [None] * len(ids), pa.string())
    rows = pa.table({"problem_id": ids, "text": texts, "answer": known})
    rows = rows.append_column("signature", signatures(rows).column("signature"))
    _, group, size = np.unique(rows.column("signature").to_numpy(), return_inverse=True, return_counts=True)
    found = clusters(rows.filter(pa.array(size[group] > 1)))
    groups: dict[str, list[int]] = defaultdict(list)
    for identity, cluster in zip(*(column.to_pylist() for column in found.columns), strict=True):
        groups[cluster].append(int(identity))
    return list(groups.values())


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    texts = [json.loads(line)["text"] for line in Path(spec["texts"]).read_text().splitlines()]
    chain(["A first text.", "A second one."])  # so that everything is imported, as for the peers
    started, before = time.perf_counter(), os.times()
    found = chain(texts)
    seconds, after = time.perf_counter() - started, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    Path(sys.argv[2]).write_text(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "clusters": found}))


if __name__ == "__main__":
    main()
