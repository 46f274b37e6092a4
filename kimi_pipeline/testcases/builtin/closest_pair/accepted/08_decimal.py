from decimal import Decimal, getcontext
getcontext().prec = 30
n = int(input())
p = [tuple(map(int, input().split())) for _ in range(n)]
least = min((a - c) ** 2 + (b - d) ** 2 for i, (a, b) in enumerate(p) for c, d in p[i + 1:])
print(Decimal(least).sqrt())
