from collections import deque
n = int(input())
g = {u: [] for u in range(1, n + 1)}
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v); g[v].append(u)
s = 0
for a in g:
    d = {a: 0}
    q = deque([a])
    while q:
        u = q.popleft()
        for v in g[u]:
            if v not in d:
                d[v] = d[u] + 1
                q.append(v)
    s += sum(d.values())
print(s // 2)
