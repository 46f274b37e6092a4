import heapq
n, m = map(int, input().split())
g, c = [[] for _ in range(n + 1)], [0] * (n + 1)
for _ in range(m):
    u, v = map(int, input().split())
    g[u].append(v); c[v] += 1
h = [-u for u in range(1, n + 1) if c[u] == 0]
heapq.heapify(h)
while h:
    u = -heapq.heappop(h)
    print(u, end=" ")
    for v in g[u]:
        c[v] -= 1
        if c[v] == 0:
            heapq.heappush(h, -v)
print()
