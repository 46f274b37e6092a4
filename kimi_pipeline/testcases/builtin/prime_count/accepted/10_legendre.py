from functools import lru_cache
@lru_cache(None)
def phi(x, k):
    return x if k == 0 else phi(x, k - 1) - phi(x // P[k - 1], k - 1)
P = [p for p in range(2, 60) if all(p % q for q in range(2, p))]
def pi(n):
    if n < 2: return 0
    k = sum(1 for p in P if p * p <= n)
    return phi(n, k) + k - 1
a, b = map(int, input().split())
print(pi(b) - pi(a - 1))
