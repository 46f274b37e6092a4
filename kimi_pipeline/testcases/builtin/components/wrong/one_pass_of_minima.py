n, m = map(int, input().split())
low = list(range(n + 1))
for _ in range(m):
    u, v = map(int, input().split())
    low[u] = low[v] = min(low[u], low[v])
print(sum(low[u] == u for u in range(1, n + 1)))
