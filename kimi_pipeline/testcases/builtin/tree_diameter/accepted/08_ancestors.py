n = int(input())
g = [[] for _ in range(n)]
for _ in range(n - 1):
    u, v = (int(x) - 1 for x in input().split())
    g[u].append(v)
    g[v].append(u)
path = [None] * n
path[0] = (0,)
todo = [0]
while todo:
    u = todo.pop()
    for v in g[u]:
        if path[v] is None:
            path[v] = path[u] + (v,)
            todo.append(v)
best = 0
for p in path:
    for q in path:
        k = 0
        while k < len(p) and k < len(q) and p[k] == q[k]:
            k += 1
        best = max(best, len(p) + len(q) - 2 * k)
print(best)
