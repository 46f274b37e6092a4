n, m = map(int, input().split())
INF = 10**15
d = [[0 if i == j else INF for j in range(n)] for i in range(n)]
for _ in range(m):
    u, v, w = map(int, input().split())
    d[u - 1][v - 1] = min(d[u - 1][v - 1], w)
for k in range(n):
    row = d[k]
    for i in range(n):
        x = d[i][k]
        if x < INF:
            d[i] = [min(a, x + b) for a, b in zip(d[i], row)]
print(-1 if d[0][n - 1] >= INF else d[0][n - 1])
