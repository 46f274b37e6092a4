from bisect import insort
n, m = map(int, input().split())
g = {}
for _ in range(m):
    u, v, w = map(int, input().split())
    key = (u, v)
    g[key] = min(w, g.get(key, w))
near = {}
for (u, v), w in g.items():
    near.setdefault(u, {})[v] = w
todo, closed = [(0, 1)], {}
while todo:
    d, u = todo.pop(0)
    if u in closed:
        continue
    closed[u] = d
    if u == n:
        break
    for v, w in near.get(u, {}).items():
        if v not in closed:
            insort(todo, (d + w, v))
print(closed.get(n, -1))
