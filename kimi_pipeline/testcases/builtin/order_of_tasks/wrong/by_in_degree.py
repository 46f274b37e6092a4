n, m = map(int, input().split())
c = [0] * (n + 1)
for _ in range(m):
    u, v = map(int, input().split())
    c[v] += 1
print(*sorted(range(1, n + 1), key=lambda u: c[u]))
