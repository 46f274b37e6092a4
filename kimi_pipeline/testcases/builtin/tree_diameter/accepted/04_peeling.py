n = int(input())
g = [set() for _ in range(n + 1)]
for _ in range(n - 1):
    u, v = map(int, input().split())
    g[u].add(v); g[v].add(u)
alive, rounds = n, 0
leaves = [u for u in range(1, n + 1) if len(g[u]) == 1]
while alive > 2:
    rounds += 1
    nxt = []
    for u in leaves:
        v = g[u].pop()
        g[v].discard(u)
        alive -= 1
        if len(g[v]) == 1:
            nxt.append(v)
    leaves = nxt
print(2 * rounds + alive - 1)
