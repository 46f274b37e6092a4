n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v, w = map(int, input().split())
    g[u].append((w, v))
u, c, seen = 1, 0, {1}
while u != n:
    ways = [x for x in g[u] if x[1] not in seen]
    if not ways:
        c = -1
        break
    w, u = min(ways)
    seen.add(u)
    c += w
print(c)
