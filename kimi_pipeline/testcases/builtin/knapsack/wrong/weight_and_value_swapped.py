n, W = map(int, input().split())
d = [0] * (W + 1)
for _ in range(n):
    v, w = map(int, input().split())
    for c in range(W, w - 1, -1):
        d[c] = max(d[c], d[c - w] + v)
print(d[W])
