n, m = map(int, input().split())
e = [tuple(map(int, input().split())) for _ in range(m)]
d = [10**18] * (n + 1)
d[1] = 0
for _ in range(10):
    for u, v, w in e:
        d[v] = min(d[v], d[u] + w)
print(d[n] if d[n] < 10**18 else -1)
