import heapq
n, m = map(int, input().split())
g, c = {u: [] for u in range(1, n + 1)}, dict.fromkeys(range(1, n + 1), 0)
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v); c[v] += 1
h = [u for u in g if c[u] == 0]
out = []
while h:
    u = heapq.heappop(h)
    out.append(u)
    for v in g[u]:
        c[v] -= 1
        if c[v] == 0:
            heapq.heappush(h, v)
print(*out)
