n, m = map(int, input().split())
d = [0] * (n + 1)
e = [tuple(map(int, input().split())) for _ in range(m)]
for _ in range(n):
    for u, v in e:
        d[u] = max(d[u], d[v] + 1)
print(*sorted(range(1, n + 1), key=d.__getitem__))
