import sys
n, m, *r = map(int, sys.stdin.read().split())
edges = list(zip(r[::3], r[1::3], r[2::3]))
INF = float("inf")
d = [INF] * (n + 1)
d[1] = 0
for _ in range(n - 1):
    for u, v, w in edges:
        if d[u] + w < d[v]:
            d[v] = d[u] + w
print(d[n] if d[n] < INF else -1)
