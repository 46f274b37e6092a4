from collections import deque
n, m = map(int, input().split())
g, c = [[] for _ in range(n + 1)], [0] * (n + 1)
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v)
    c[v] += 1
q = deque(u for u in range(1, n + 1) if c[u] == 0)
out = []
while q:
    u = q.popleft()
    out.append(u)
    for v in g[u]:
        c[v] -= 1
        if c[v] == 0:
            q.append(v)
print(*out)
