n, m = map(int, input().split())
e = [list(map(int, input().split())) for _ in range(m)]
d = [0 if u == 1 else None for u in range(n + 1)]
changed = True
while changed:
    changed = False
    for u, v, w in e:
        if d[u] is not None and (d[v] is None or d[v] > d[u] + w):
            d[v] = d[u] + w
            changed = True
print(d[n] if d[n] is not None else -1)
