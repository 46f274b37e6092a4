from collections import deque
n, m = map(int, input().split())
out = {}
for _ in range(m):
    u, v, w = map(int, input().split())
    out.setdefault(u, []).append((v, w))
d = {1: 0}
q = deque([1])
inside = {1}
while q:
    u = q.popleft()
    inside.discard(u)
    for v, w in out.get(u, ()):
        if v not in d or d[u] + w < d[v]:
            d[v] = d[u] + w
            if v not in inside:
                inside.add(v)
                q.append(v)
print(d.get(n, -1))
