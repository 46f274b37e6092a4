n, m = map(int, input().split())
e = [tuple(map(int, input().split())) for _ in range(m)]
d = [0] * (n + 1)
for _ in range(n):
    for u, v in e:
        d[v] = max(d[v], d[u] + 1)
print(*sorted(range(1, n + 1), key=d.__getitem__))
