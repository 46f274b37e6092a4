n, m = map(int, input().split())
edges = [tuple(map(int, input().split())) for _ in range(m)]
low = list(range(n + 1))
moved = True
while moved:
    moved = False
    for u, v in edges:
        a = min(low[u], low[v])
        if low[u] != a or low[v] != a:
            low[u] = low[v] = a
            moved = True
print(sum(low[u] == u for u in range(1, n + 1)))
