n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v)
out = []
def visit(u):
    if u not in out:
        out.append(u)
        for v in g[u]:
            visit(v)
for u in range(1, n + 1):
    visit(u)
print(*out)
