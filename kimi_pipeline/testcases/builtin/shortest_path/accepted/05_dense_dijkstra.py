n, m = map(int, input().split())
w = [[None] * (n + 1) for _ in range(n + 1)]
for _ in range(m):
    a, b, c = map(int, input().split())
    if w[a][b] is None or c < w[a][b]:
        w[a][b] = c
d = [None] * (n + 1)
d[1] = 0
done = [False] * (n + 1)
while True:
    u = None
    for v in range(1, n + 1):
        if not done[v] and d[v] is not None and (u is None or d[v] < d[u]):
            u = v
    if u is None:
        break
    done[u] = True
    for v in range(1, n + 1):
        if w[u][v] is not None and (d[v] is None or d[u] + w[u][v] < d[v]):
            d[v] = d[u] + w[u][v]
print(-1 if d[n] is None else d[n])
