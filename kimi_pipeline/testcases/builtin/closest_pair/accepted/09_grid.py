from collections import defaultdict
n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
if len(set(p)) < n:
    print(0)
else:
    cell = 1
    while True:
        grid = defaultdict(list)
        best = None
        for x, y in p:
            gx, gy = x // cell, y // cell
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    for a, b in grid.get((gx + i, gy + j), ()):
                        d = (a - x) ** 2 + (b - y) ** 2
                        if best is None or d < best:
                            best = d
            grid[gx, gy].append((x, y))
        if best is not None and best <= cell * cell:
            break
        cell *= 2
    print(best ** 0.5)
