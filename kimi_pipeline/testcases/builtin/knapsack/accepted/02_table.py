n, W = map(int, input().split())
t = [tuple(map(int, input().split())) for _ in range(n)]
d = [[0] * (W + 1) for _ in range(n + 1)]
for i, (w, v) in enumerate(t, 1):
    for c in range(W + 1):
        d[i][c] = d[i - 1][c]
        if c >= w and d[i - 1][c - w] + v > d[i][c]:
            d[i][c] = d[i - 1][c - w] + v
print(d[n][W])
