from collections import deque
n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v, w = map(int, input().split())
    g[u].append((v, w))
d = {1: 0}
q = deque([1])
while q:
    u = q.popleft()
    for v, w in g[u]:
        if v not in d:
            d[v] = d[u] + w
            q.append(v)
print(d.get(n, -1))
