n, W = map(int, input().split())
d = [0] * (W + 1)
for _ in range(n):
    w, v = map(int, input().split())
    if w <= W:
        d = d[:w] + [max(a, b + v) for a, b in zip(d[w:], d)]
print(max(d))
