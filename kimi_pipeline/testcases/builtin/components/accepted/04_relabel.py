n, m = map(int, input().split())
colour = list(range(n + 1))
for _ in range(m):
    u, v = map(int, input().split())
    old, new = colour[u], colour[v]
    colour = [new if c == old else c for c in colour]
print(len(set(colour[1:])))
