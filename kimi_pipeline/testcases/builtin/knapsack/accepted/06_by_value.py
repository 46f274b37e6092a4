import sys
n, W, *r = map(int, sys.stdin.read().split())
V = sum(r[1::2])
INF = W + 1
light = [0] + [INF] * V
for w, v in zip(r[::2], r[1::2]):
    light = light[:v] + [min(a, b + w) for a, b in zip(light[v:], light)]
print(max(x for x in range(V + 1) if light[x] <= W))
