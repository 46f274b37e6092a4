n, m = map(int, input().split())
e = [tuple(map(int, input().split())) for _ in range(m)]
d = [10**9] * (n + 1)
d[1] = 0
for _ in range(n):
    for u, v, w in e:
        d[v] = min(d[v], d[u] + w)
print(d[n])
