"""kimi_pipeline: the data-and-training system of the Kimi k1.5 report, as plain Python.

The map, from the door down; a module imports only from what stands below it:

    cli            the terminal's door
    audit          why a problem is in a set, and what follows from it: explain, diff, rebuild, report, ...
    maintenance    what lies on the disk, what may go, older schemas brought up to date
    nights         stale estimates asked again, new versions compared, promoted or blocked
    lineage        the list of stages, in order
    evaluation     checkpoints on held-out problems [3]
    rl             online mirror descent on a prompt set [2.3, 2.6]
    reward_models  Classic and Chain-of-Thought reward models, and their corpus [2.3.5]
    testcases      coding problems and their validated test suites [2.3.5]
    curation       duplicates, tags, evaluability, difficulty, guessability, selection [2.1]
    training       DeepSpeed, SFT, the checkpoints before RL [2.5.2]
    corpora        sources, normalising, quarantine, built-in families
    models         the tokenizer and the tiny model of the laptop
    inference      requests in, samples out: vLLM or an endpoint, the sample store
    rewards        the Reward contract; rules for mathematics, suites for programs
    stages         a step of the lineage, and the memo that makes a finished one free
    ledger, lake (commits, clock, row_digests, snapshots, database), tables, problems, profiles, jobs, shards, digests,
    folders, files, locks, home: what all use

Dagster is nowhere below this line: `assets/` and `resources/` stand above, `sandbox/` beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from kimi_pipeline.audit.opened import OpenedSet

__all__ = ["open_set"]


def open_set(name: str, home: Path | str | None = None) -> OpenedSet:
    """A version of a prompt set (`NAME@VERSION`, or the newest of `NAME`) with `.arrow()`, `.dataset()` and `.manifest`."""
    from kimi_pipeline.audit.opened import open_set as opened

    return opened(name, home)
