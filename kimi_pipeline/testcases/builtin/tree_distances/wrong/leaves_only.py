n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
def walk(u, p, d):
    return (d if len(g[u]) == 1 else 0) + sum(walk(v, u, d + 1) for v in g[u] if v != p)
print(sum(walk(s, 0, 0) for s in range(1, n + 1) if len(g[s]) == 1) // 2)
