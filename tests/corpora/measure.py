"""Rows a second and peak memory of the corpus stage on a generated jsonl file: `python -m tests.corpora.measure --rows N`.

Belongs here: the measurement whose figures `docs/experiments.md` gives. Does not belong here: later stages.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from pathlib import Path

from kimi_pipeline.corpora.ingest import CORPUS
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake
from kimi_pipeline.profiles import load_profile
from kimi_pipeline.stages import Context, new_run_id, run_stage

EVERY = 0.2  # seconds between two looks at the memory


def generate(path: Path, rows: int, seed: int = 0) -> None:
    """Worked problems of about 600 bytes with formulas; one row in a hundred can't be a problem."""
    rng = random.Random(seed)
    words = [f"word{k}" for k in range(5_000)]
    with path.open("w") as file:
        for k in range(rows):
            text = " ".join(rng.choices(words, k=40))
            row = {
                "id": k,
                "question": None if k % 100 == 99 else f"{text}: let $x = \\frac{{{k}}}{{7}}$, find $x^2 + {k}$.",
                "answer": f"{' '.join(rng.choices(words, k=30))}\n#### {k}",
                "level": k % 5,
            }
            file.write(json.dumps(row) + "\n")


class Peak(threading.Thread):
    """The most memory, in MiB, that this process and those it started hold at a time (pages shared by several count once)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(EVERY):
            self.mib = max(self.mib, sum(map(_share, _family(Path("/proc/self").resolve().name))) / 1024)

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.mib


def _family(pid: str) -> list[str]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in _family(child)]
        except OSError:  # it has ended
            continue
    return found


def _share(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "generated.jsonl"
        generate(file, rows)
        home = Home(Path(folder) / "home").prepare()
        profile = load_profile("smoke", {"corpora.sources": [str(file)]})
        context = Context(home, Lake(home.lake), profile, None, new_run_id(), "measured")  # type: ignore[arg-type]
        figures: dict[str, object] = {"rows": rows, "mib": round(file.stat().st_size / 2**20)}
        peak = Peak()
        peak.start()
        for name in ("first", "again"):
            started = time.monotonic()
            outcome = run_stage(CORPUS, context, {})
            seconds = time.monotonic() - started
            figures |= {f"{name}_seconds": round(seconds, 1), f"{name}_figures": dict(outcome.figures)}
            figures |= {"rows_per_second": round(rows / seconds)} if name == "first" else {}
        print(json.dumps(figures | {"peak_memory_mib": round(peak.stop())}))


if __name__ == "__main__":
    main()
