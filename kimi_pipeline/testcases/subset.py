"""The fewest cases with the power of all, cheapest killer first: what a reward runs.

Belongs here: the choice, as a pure function of which case rejects which program. Does not belong here: running anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

COVER = 3
"""Cases that shall reject each program, where so many do: one alone would fit the programs it was chosen on too closely."""


def smallest_subset(kills: Mapping[int, Set[str]], seconds: Mapping[int, float], most: int) -> list[int]:
    """At most `most` case numbers, in the order in which they should be run.

    `kills` says which wrong programs each case rejects, `seconds` what it costs. Greedy cover: first every program once,
    then again up to `COVER` times while there is room; ties go to the cheaper case, then to the lower number. The order:
    most rejected programs for a second first, counting those not rejected yet.
    """
    everyone = set().union(*kills.values()) if kills else set()
    chosen: list[int] = []
    covered = dict.fromkeys(everyone, 0)
    for depth in range(1, COVER + 1):
        while len(chosen) < most:
            gains = {
                case: sum(covered[name] < depth for name in killed)
                for case, killed in kills.items()
                if case not in chosen
            }
            best = max(gains, key=lambda case: (gains[case], -seconds.get(case, 0.0), -case), default=None)
            if best is None or not gains[best]:
                break
            chosen.append(best)
            for name in kills[best]:
                covered[name] += 1
    return cheapest_killer_first({case: kills[case] for case in chosen}, seconds)


def cheapest_killer_first(kills: Mapping[int, Set[str]], seconds: Mapping[int, float]) -> list[int]:
    """All cases, each next one the one that rejects most programs not rejected yet for a second of its cost."""
    left, order = dict(kills), []
    rejected: set[str] = set()
    while left:
        best = max(
            left,
            key=lambda case: (
                len(left[case] - rejected) / max(seconds.get(case, 0.0), 1e-4),
                len(left[case]) / max(seconds.get(case, 0.0), 1e-4),
                -case,
            ),
        )
        rejected |= left.pop(best)
        order.append(best)
    return order
