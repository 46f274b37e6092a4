n = int(input())
g = [set() for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].add(v)
    g[v].add(u)
weight = [1] * (n + 1)
leaves = [u for u in range(1, n + 1) if len(g[u]) == 1]
total = 0
while leaves:
    u = leaves.pop()
    if not g[u]:
        continue
    v = g[u].pop()
    g[v].remove(u)
    total += weight[u] * (n - weight[u])
    weight[v] += weight[u]
    if len(g[v]) == 1:
        leaves.append(v)
print(total)
