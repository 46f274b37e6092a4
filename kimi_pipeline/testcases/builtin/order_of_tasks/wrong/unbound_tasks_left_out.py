n, m = map(int, input().split())
d, used = [0] * (n + 1), set()
e = [tuple(map(int, input().split())) for _ in range(m)]
for _ in range(n):
    for u, v in e:
        used |= {u, v}
        d[v] = max(d[v], d[u] + 1)
print(*sorted(used, key=d.__getitem__))
