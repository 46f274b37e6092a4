"""What the statements of the built-in problems say, as directly as can be written: nothing here is fast or clever.

`right(name, reading, given, output)` tells whether an output is right for an input. Ambiguous problems have several readings,
each of them a right answer to its own reading; the others have the one reading "".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache

Numbers = list[list[int]]


def right(name: str, reading: str, given: bytes, output: str) -> bool:
    text = given.decode()
    if name in CHECKED:
        return CHECKED[name](_numbers(text), output)
    return output == _answer(name, reading, text)


@cache
def _answer(name: str, reading: str, text: str) -> str:
    if name in STRINGS:
        return str(STRINGS[name](text.strip()))
    return str(NUMBERS[f"{name}:{reading}" if reading else name](_numbers(text)))


def reading_of(name: str, program: str) -> str:
    """The reading that an accepted program takes, by its file's name: `06_upper_sorted` takes `upper`."""
    readings = [key.partition(":")[2] for key in NUMBERS if key.startswith(f"{name}:")]
    return next((one for one in readings if one in program.split("_")), "")


def _numbers(text: str) -> Numbers:
    return [[int(word) for word in line.split()] for line in text.splitlines()]


# -- strings


def bracket_depth(s: str) -> int:
    return max(s[:end].count("(") - s[:end].count(")") for end in range(len(s) + 1))


def _substrings(s: str) -> Iterator[str]:
    return (s[i:j] for i in range(len(s)) for j in range(i + 1, len(s) + 1))


def distinct_substrings(s: str) -> int:
    return len(set(_substrings(s)))


def longest_palindrome(s: str) -> int:
    return max(len(part) for part in _substrings(s) if part == part[::-1])


# -- arrays and numbers


def common_divisor(n: Numbers) -> int:
    least = min(n[1])
    small = [d for d in range(1, math.isqrt(least) + 1) if least % d == 0]
    return max(d for d in small + [least // d for d in small] if all(a % d == 0 for a in n[1]))


def divisor_count(n: Numbers) -> int:
    return sum(n[0][0] % d == 0 for d in range(1, n[0][0] + 1))


def prime_count(n: Numbers) -> int:
    a, b = n[0]
    return sum(p > 1 and all(p % d for d in range(2, p)) for p in range(a, b + 1))


def increasing(n: Numbers) -> int:
    a = n[1]
    best: list[int] = []
    for i, value in enumerate(a):
        best.append(1 + max((best[j] for j in range(i) if a[j] < value), default=0))
    return max(best)


def inversions(n: Numbers) -> int:
    return sum(a > b for a, b in itertools.combinations(n[1], 2))


def max_subarray(n: Numbers) -> int:
    return max(max(itertools.accumulate(n[1][start:])) for start in range(len(n[1])))


def knapsack(n: Numbers) -> int:
    """The best value of every total weight that some choice has."""
    reached = {0: 0}
    for weight, value in n[1:]:
        for total, worth in list(reached.items()):
            if total + weight <= n[0][1]:
                reached[total + weight] = max(reached.get(total + weight, 0), worth + value)
    return max(reached.values())


def _middle(n: Numbers) -> tuple[int, int]:
    a = sorted(n[1])
    return a[(len(a) - 1) // 2], a[len(a) // 2]


def _mean(n: Numbers) -> str:
    low, high = _middle(n)
    return f"{(low + high) / 2:g}"


def _most_frequent(n: Numbers) -> list[int]:
    most = max(n[1].count(value) for value in n[1])
    return [value for value in n[1] if n[1].count(value) == most]


# -- trees and graphs


def _distances(n: int, edges: Numbers, both_ways: bool) -> list[list[float]]:
    far = [[0 if i == j else math.inf for j in range(n + 1)] for i in range(n + 1)]
    for u, v, *cost in edges:
        far[u][v] = min(far[u][v], cost[0] if cost else 1)
        if both_ways:
            far[v][u] = min(far[v][u], cost[0] if cost else 1)
    for k, i, j in itertools.product(range(1, n + 1), repeat=3):
        far[i][j] = min(far[i][j], far[i][k] + far[k][j])
    return far


def components(n: Numbers) -> int:
    size = n[0][0]
    far = _distances(size, n[1:], both_ways=True)
    return len({frozenset(j for j in range(1, size + 1) if far[i][j] < math.inf) for i in range(1, size + 1)})


def shortest_path(n: Numbers) -> int:
    found = _distances(n[0][0], n[1:], both_ways=False)[1][n[0][0]]
    return int(found) if found < math.inf else -1


def _of_the_tree(n: Numbers) -> list[int]:
    size = n[0][0]
    far = _distances(size, n[1:], both_ways=True)
    return [int(far[i][j]) for i in range(1, size + 1) for j in range(1, i)]


def tree_diameter(n: Numbers) -> int:
    return max(_of_the_tree(n), default=0)


def tree_distances(n: Numbers) -> int:
    return sum(_of_the_tree(n))


# -- geometry


def polygon_area(n: Numbers) -> int:
    """Twice the area by cutting ears off: corners are taken away one by one, each with its triangle."""
    corners = [tuple(point) for point in n[1:]]
    turned = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
    if turned < 0:
        corners.reverse()
    total = 0
    while len(corners) > 2:
        for at in range(len(corners)):
            a, b, c = corners[at - 1], corners[at], corners[(at + 1) % len(corners)]
            others = [p for p in corners if p not in (a, b, c)]
            if _twice(a, b, c) == 0 or (_twice(a, b, c) > 0 and not any(_within(p, a, b, c) for p in others)):
                total += _twice(a, b, c)
                del corners[at]
                break
        else:
            raise AssertionError("a simple polygon has an ear")
    return total


def _twice(a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _within(p: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> bool:
    return _twice(a, b, p) >= 0 and _twice(b, c, p) >= 0 and _twice(c, a, p) >= 0


def closest_pair(n: Numbers, output: str) -> bool:
    square = min((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 for a, b in itertools.combinations(n[1:], 2))
    return abs(float(output) - math.sqrt(square)) <= 1e-6 * max(1, math.sqrt(square))


# -- several right outputs


def pair_with_sum(n: Numbers, output: str) -> bool:
    i, j = map(int, output.split())
    a = n[1]
    return i != j and min(i, j) >= 1 and max(i, j) <= len(a) and a[i - 1] + a[j - 1] == n[0][1]


def order_of_tasks(n: Numbers, output: str) -> bool:
    order = list(map(int, output.split()))
    return sorted(order) == list(range(1, n[0][0] + 1)) and all(order.index(u) < order.index(v) for u, v in n[1:])


STRINGS: dict[str, Callable[[str], int]] = {
    "bracket_depth": bracket_depth,
    "distinct_substrings": distinct_substrings,
    "longest_palindrome": longest_palindrome,
}
NUMBERS: dict[str, Callable[[Numbers], int | str]] = {
    "common_divisor": common_divisor,
    "divisor_count": divisor_count,
    "prime_count": prime_count,
    "increasing": increasing,
    "inversions": inversions,
    "max_subarray": max_subarray,
    "knapsack": knapsack,
    "middle_value:lower": lambda n: _middle(n)[0],
    "middle_value:upper": lambda n: _middle(n)[1],
    "middle_value:mean": _mean,
    "most_frequent:first": lambda n: _most_frequent(n)[0],
    "most_frequent:smallest": lambda n: min(_most_frequent(n)),
    "most_frequent:largest": lambda n: max(_most_frequent(n)),
    "components": components,
    "shortest_path": shortest_path,
    "tree_diameter": tree_diameter,
    "tree_distances": tree_distances,
    "polygon_area": polygon_area,
}
CHECKED: dict[str, Callable[[Numbers, str], bool]] = {
    "closest_pair": closest_pair,
    "pair_with_sum": pair_with_sum,
    "order_of_tasks": order_of_tasks,
}
