"""Intervals of shares. Belongs here: the Wilson interval. Does not belong here: what is counted."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054


def wilson(correct: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share, both ends in [0, 1]; (0, 1) where nothing was drawn.

    Kept where the normal interval fails: few draws, shares near 0 or 1 (10 samples a problem give both).
    """
    if n == 0:
        return 0.0, 1.0
    share = correct / n
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The ends are exact at 0 and n; rounding must not push them past.
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high
