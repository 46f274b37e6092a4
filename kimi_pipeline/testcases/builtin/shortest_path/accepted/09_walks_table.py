n, m = map(int, input().split())
e = [tuple(map(int, input().split())) for _ in range(m)]
INF = 1 << 50
row = [INF] * (n + 1)
row[1] = 0
for _ in range(n):
    nxt = row[:]
    for u, v, w in e:
        nxt[v] = min(nxt[v], row[u] + w)
    row = nxt
print(row[n] if row[n] < INF else -1)
