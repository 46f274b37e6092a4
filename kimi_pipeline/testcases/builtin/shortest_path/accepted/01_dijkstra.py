import heapq
n, m = map(int, input().split())
g = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v, w = map(int, input().split())
    g[u].append((v, w))
best = {}
heap = [(0, 1)]
while heap:
    d, u = heapq.heappop(heap)
    if u in best:
        continue
    best[u] = d
    for v, w in g[u]:
        heapq.heappush(heap, (d + w, v))
print(best.get(n, -1))
