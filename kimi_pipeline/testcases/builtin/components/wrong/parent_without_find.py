n, m = map(int, input().split())
p = list(range(n + 1))
for _ in range(m):
    u, v = map(int, input().split())
    p[u] = p[v]
print(len(set(p[1:])))
