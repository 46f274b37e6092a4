n, m = map(int, input().split())
edges = [tuple(map(int, input().split())) for _ in range(m)]
front = {1: 0}
best = dict(front)
while front:
    new = {}
    for u, v, w in edges:
        if u in front:
            c = front[u] + w
            if c < best.get(v, 1 << 60):
                best[v] = new[v] = c
    front = new
print(best.get(n, -1))
