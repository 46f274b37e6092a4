"""MinHash chains of others, text to clusters, in a venv that has nothing of the project: datatrove's and datasketch's.

    python benchmarks/minhash_chains.py SPEC RESULT

SPEC is JSON: `chain` ("datatrove" or "datasketch"), `texts` (a JSON lines file with `text`), `folder` (scratch). RESULT
gets `seconds` (by the clock), `cpu_seconds` (of this process and its children) and `clusters`, lists of row numbers.
Imports and reading the texts are left out. Both chains run in this one process, with settings as their documentation
gives them: 5-grams of words, datatrove 14 bands of 8, datasketch 128 permutations and a threshold of 0.7.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

Chain = Callable[[], dict[int, list[int]]]


def datatrove(texts: list[str], folder: Path) -> Chain:
    """The four steps of datatrove's example, each as its executor runs it, one task at a time."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.logging import logger
    from datatrove.utils.typeshelper import Languages

    logger.remove()
    config = MinhashConfig()
    signed, paired, clustered = (str(folder / name) for name in ("signatures", "buckets", "clusters"))
    signature = MinhashDedupSignature(signed, config=config, language=Languages.english)
    signature.get_shingles("A first text, so that the words of the language are loaded.")

    def run() -> dict[int, list[int]]:
        signature.run((Document(text=text, id=str(row)) for row, text in enumerate(texts)), 0, 1)
        for rank in range(config.num_buckets):
            MinhashDedupBuckets(signed, paired, config=config).run(None, rank, config.num_buckets)
        MinhashDedupCluster(paired, clustered, config=config, save_cluster_id=True).run(None, 0, 1)
        groups: dict[int, list[int]] = defaultdict(list)
        path = Path(clustered) / "000000.clusters"
        numbers = memoryview(path.read_bytes()).cast("I").tolist() if path.is_file() else []
        for place in range(0, len(numbers), 2):
            groups[numbers[place + 1]].append(numbers[place])
        return groups

    return run


def datasketch(texts: list[str], folder: Path) -> Chain:
    """MinHash in bulk, LSH, union-find over what each text meets."""
    import re

    import xxhash
    from datasketch import MinHash, MinHashLSH

    word = re.compile(r"\w+")

    def shingles(text: str) -> list[bytes]:
        words = word.findall(text.lower())
        return [" ".join(words[k : k + 5]).encode() for k in range(max(1, len(words) - 4))]

    def run() -> dict[int, list[int]]:
        lsh = MinHashLSH(threshold=0.7, num_perm=128)
        parent = list(range(len(texts)))

        def find(row: int) -> int:
            while parent[row] != row:
                parent[row] = row = parent[parent[row]]
            return row

        hashes = MinHash.generator(map(shingles, texts), num_perm=128, hashfunc=xxhash.xxh32_intdigest)
        for row, minhash in enumerate(hashes):
            for other in lsh.query(minhash):
                parent[find(row)] = find(other)
            lsh.insert(row, minhash)
        groups: dict[int, list[int]] = defaultdict(list)
        for row in range(len(texts)):
            groups[find(row)].append(row)
        return groups

    return run


def main(spec: dict[str, Any]) -> dict[str, Any]:
    texts = [json.loads(line)["text"] for line in Path(spec["texts"]).read_text().splitlines()]
    run = {"datatrove": datatrove, "datasketch": datasketch}[spec["chain"]](texts, Path(spec["folder"]))
    started, before = time.perf_counter(), os.times()
    groups = run()
    seconds, after = time.perf_counter() - started, os.times()
    return {
        "seconds": seconds,
        "cpu_seconds": sum(after[:4]) - sum(before[:4]),
        "clusters": [rows for rows in groups.values() if len(rows) > 1],
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
