import heapq
n, m = map(int, input().split())
into = [[] for _ in range(n + 1)]
for _ in range(m):
    u, v, w = map(int, input().split())
    into[v].append((u, w))
dist = [10**18] * (n + 1)
dist[n] = 0
h = [(0, n)]
while h:
    d, v = heapq.heappop(h)
    if d > dist[v]:
        continue
    for u, w in into[v]:
        if d + w < dist[u]:
            dist[u] = d + w
            heapq.heappush(h, (dist[u], u))
print(dist[1] if dist[1] < 10**18 else -1)
