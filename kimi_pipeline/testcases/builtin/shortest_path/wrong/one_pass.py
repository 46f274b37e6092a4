n, m = map(int, input().split())
d = [10**18] * (n + 1)
d[1] = 0
for _ in range(m):
    u, v, w = map(int, input().split())
    d[v] = min(d[v], d[u] + w)
print(d[n] if d[n] < 10**18 else -1)
