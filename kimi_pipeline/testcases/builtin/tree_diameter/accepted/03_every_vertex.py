n = int(input())
g = [set() for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].add(v)
    g[v].add(u)
best = 0
for s in range(1, n + 1):
    seen, front, d = {s}, {s}, 0
    while True:
        front = set().union(*(g[u] for u in front)) - seen
        if not front:
            break
        seen |= front
        d += 1
    best = max(best, d)
print(best)
