from graphlib import TopologicalSorter
n, m = map(int, input().split())
t = TopologicalSorter({u: [] for u in range(1, n + 1)})
for _ in range(m):
    u, v = map(int, input().split())
    t.add(v, u)
print(*t.static_order())
