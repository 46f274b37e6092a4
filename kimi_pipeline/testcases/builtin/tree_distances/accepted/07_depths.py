n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
par, dep, order = {1: None}, {1: 0}, [1]
for u in order:
    for v in g[u]:
        if v not in par:
            par[v], dep[v] = u, dep[u] + 1
            order.append(v)
def meet(a, b):
    while a != b:
        if dep[a] < dep[b]:
            a, b = b, a
        a = par[a]
    return a
print(sum(dep[a] + dep[b] - 2 * dep[meet(a, b)] for a in order for b in order if a < b))
