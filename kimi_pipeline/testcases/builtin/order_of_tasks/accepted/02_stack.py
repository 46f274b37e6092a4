n, m = map(int, input().split())
g, c = [[] for _ in range(n + 1)], [0] * (n + 1)
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v)
    c[v] += 1
s = [u for u in range(1, n + 1) if not c[u]]
out = []
while s:
    u = s.pop()
    out.append(u)
    for v in g[u]:
        c[v] -= 1
        if not c[v]:
            s.append(v)
print(*out)
