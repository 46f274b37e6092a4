n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
order, par, dep = [1], [0] * (n + 1), [0] * (n + 1)
for u in order:
    for v in g[u]:
        if v != par[u]:
            par[v], dep[v] = u, dep[u] + 1
            order.append(v)
size = [1] * (n + 1)
for u in order[:0:-1]:
    size[par[u]] += size[u]
far = [0] * (n + 1)
far[1] = sum(dep)
for u in order[1:]:
    far[u] = far[par[u]] + n - 2 * size[u]
print(sum(far) // 2)
