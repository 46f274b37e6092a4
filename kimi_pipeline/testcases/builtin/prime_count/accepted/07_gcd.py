from math import gcd, prod
a, b = map(int, input().split())
small = [p for p in range(2, 55) if all(p % q for q in range(2, p))]
P = prod(small)
print(sum(1 for n in range(max(a, 2), b + 1) if n in small or (gcd(n, P) == 1)))
