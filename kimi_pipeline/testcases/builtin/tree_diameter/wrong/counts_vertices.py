n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
def far(u, p):
    return max([(0, u)] + [(a + 1, b) for a, b in (far(v, u) for v in g[u] if v != p)])
print(far(far(1, 0)[1], 0)[0] + 1)
