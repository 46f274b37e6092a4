import sys
n, *e = map(int, sys.stdin.read().split())
g = {u: [] for u in range(1, n + 1)}
for u, v in zip(e[::2], e[1::2]):
    g[u].append(v); g[v].append(u)
def height(u, p):
    return max((height(v, u) + 1 for v in g[u] if v != p), default=0)
hs = sorted(height(v, 1) + 1 for v in g[1])
print(sum(hs[-2:]))
