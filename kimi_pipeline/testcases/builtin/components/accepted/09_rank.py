from fractions import Fraction
n, m = map(int, input().split())
basis = {}
rank = 0
for _ in range(m):
    u, v = sorted(map(int, input().split()))
    while u != v:
        if u not in basis:
            basis[u] = v
            rank += 1
            break
        u, v = sorted((basis[u], v))
print(n - rank)
