"""Does RL learn? The whole lineage on the laptop profile, once a seed, each in a home of its own.

Belongs here: running the seeds (a finished one costs nothing to ask for again) and mean and spread. Does not belong
here: training.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kimi_pipeline.audit.results import results
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.lake import Lake

NAME = "learning"


def measure(home: Home, profile: str, seeds: list[int]) -> dict[str, Any]:
    """Figures over seeds: held-out pass@1 of SFT and RL at temperature 1 and greedy, gains, tokens, seconds.

    Raises UserError where the lineage fails for a seed; the seeds before it are kept.
    """
    runs = [_run(home.root / "bench" / NAME / f"{profile}-seed-{seed}", profile, seed) for seed in seeds]
    figures: dict[str, Any] = {"seeds": seeds, "held_out_problems": runs[0]["n"]}
    for name in ("sft_t1", "rl_t1", "gain_t1", "sft_greedy", "rl_greedy", "gain_greedy", "sft_tokens", "rl_tokens"):
        values = [run[name] for run in runs]
        figures[name] = {
            "mean": round(statistics.mean(values), 4),
            "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
            "runs": [round(value, 4) for value in values],
        }
    figures["note"] = runs[0]["note"]
    figures["seconds"] = [round(run["seconds"]) for run in runs]
    return {
        "name": NAME,
        "figures": figures,
        "peer": None,
        "ratio": None,
        "machine": f"{os.cpu_count()} CPU cores",
        "command": f"kimi-pipeline bench {NAME} --profile {profile} --seeds {','.join(map(str, seeds))}",
    }


def _run(root: Path, profile: str, seed: int) -> dict[str, Any]:
    root.mkdir(parents=True, exist_ok=True)
    seconds = root / "seconds.txt"
    environment = os.environ | {"KIMI_HOME": str(root)}
    command = [sys.executable, "-m", "kimi_pipeline.cli", "run", "--profile", profile, "--set", f"seed={seed}"]
    print(f"learning: profile {profile}, seed {seed}", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise UserError(f"the lineage failed for seed {seed}: mend what it says above and run this again")
    if not seconds.is_file():
        seconds.write_text(str(time.monotonic() - started))
    found = {(row["stage"], row["temperature"]): row for row in results(Lake(Home(root).lake))}
    sft, rl, sft_greedy, rl_greedy = (found[key] for key in (("sft", 1.0), ("rl", 1.0), ("sft", 0.0), ("rl", 0.0)))
    return {
        "n": rl["n"],
        "note": rl["note"],
        "sft_t1": sft["pass_at_1"],
        "rl_t1": rl["pass_at_1"],
        "gain_t1": rl["pass_at_1"] - sft["pass_at_1"],
        "sft_greedy": sft_greedy["pass_at_1"],
        "rl_greedy": rl_greedy["pass_at_1"],
        "gain_greedy": rl_greedy["pass_at_1"] - sft_greedy["pass_at_1"],
        "sft_tokens": sft["tokens_mean"],
        "rl_tokens": rl["tokens_mean"],
        "seconds": float(seconds.read_text()),
    }
