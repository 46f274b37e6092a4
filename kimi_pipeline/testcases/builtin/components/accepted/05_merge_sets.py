n, m = map(int, input().split())
group = {u: {u} for u in range(1, n + 1)}
for _ in range(m):
    u, v = map(int, input().split())
    a, b = group[u], group[v]
    if a is not b:
        if len(a) < len(b):
            a, b = b, a
        a |= b
        for w in b:
            group[w] = a
print(len({id(g) for g in group.values()}))
