import sys
sys.setrecursionlimit(10000)
n, *e = map(int, sys.stdin.read().split())
g = {u: [] for u in range(1, n + 1)}
for u, v in zip(e[::2], e[1::2]):
    g[u].append(v); g[v].append(u)
best = 0
def height(u, p):
    global best
    a = b = 0
    for v in g[u]:
        if v != p:
            h = height(v, u) + 1
            if h > a: a, b = h, a
            elif h > b: b = h
    best = max(best, a + b)
    return a
height(1, 0)
print(best)
