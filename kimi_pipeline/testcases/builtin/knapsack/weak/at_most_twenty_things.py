from itertools import combinations
n, W = map(int, input().split())
t = sorted((tuple(map(int, input().split())) for _ in range(n)), key=lambda q: -q[1])[:20]
d = [0] * (W + 1)
for w, v in t:
    for c in range(W, w - 1, -1):
        d[c] = max(d[c], d[c - w] + v)
print(d[W])
