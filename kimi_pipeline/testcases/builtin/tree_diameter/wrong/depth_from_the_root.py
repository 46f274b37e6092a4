n = int(input())
g = [[] for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].append(v)
    g[v].append(u)
def depth(u, p):
    return max((depth(v, u) + 1 for v in g[u] if v != p), default=0)
print(depth(1, 0))
