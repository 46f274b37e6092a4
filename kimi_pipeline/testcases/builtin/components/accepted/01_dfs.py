import sys
sys.setrecursionlimit(10000)
n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
seen = set()
def visit(u):
    seen.add(u)
    for v in g[u]:
        if v not in seen:
            visit(v)
c = 0
for u in range(1, n + 1):
    if u not in seen:
        c += 1
        visit(u)
print(c)
