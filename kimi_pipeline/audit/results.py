"""Results: pass@1 and tokens of every evaluated checkpoint.

Belongs here: reading the results table. Does not belong here: evaluating.
"""

from __future__ import annotations

from typing import Any

from kimi_pipeline.checkpoints import STAGES
from kimi_pipeline.lake import Lake


def results(lake: Lake) -> list[dict[str, Any]]:
    """`[{"checkpoint", "stage", "split", "pass_at_1", "ci", "tokens_mean", "n", "temperature", "seed", "note"}]`.

    Of each stage, split, temperature and seed the newest checkpoint, in the order of the lineage.
    """
    rows = lake.rows(
        """
        select checkpoint, stage, split, pass_at_1, [low, high] as ci, tokens_mean, n, temperature, seed,
               manifest_note as note
        from results
        qualify row_number() over (partition by stage, split, temperature, seed order by created_at desc) = 1
        """
    )
    return sorted(rows, key=lambda row: (row["seed"], row["split"], STAGES.index(row["stage"]), -row["temperature"]))
