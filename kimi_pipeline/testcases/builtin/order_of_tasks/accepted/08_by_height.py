n, m = map(int, input().split())
e = [tuple(map(int, input().split())) for _ in range(m)]
h = [0] * (n + 1)
for _ in range(n):
    for u, v in e:
        h[u] = max(h[u], h[v] + 1)
print(*sorted(range(1, n + 1), key=lambda u: -h[u]))
