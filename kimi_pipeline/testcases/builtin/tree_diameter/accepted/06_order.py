n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
order, parent = [1], {1: 0}
for u in order:
    for v in g[u]:
        if v != parent[u]:
            parent[v] = u
            order.append(v)
down = [0] * (n + 1)
ans = 0
for u in reversed(order):
    p = parent[u]
    ans = max(ans, down[p] + down[u] + 1 if p else 0)
    down[p] = max(down[p], down[u] + 1)
print(ans)
