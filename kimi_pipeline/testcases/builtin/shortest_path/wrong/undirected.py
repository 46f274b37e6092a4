import heapq
n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v, w = map(int, input().split())
    g[u].append((v, w))
    g[v].append((u, w))
best = {}
h = [(0, 1)]
while h:
    d, u = heapq.heappop(h)
    if u not in best:
        best[u] = d
        for v, w in g[u]:
            heapq.heappush(h, (d + w, v))
print(best.get(n, -1))
