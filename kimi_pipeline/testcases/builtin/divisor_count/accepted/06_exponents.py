from collections import Counter
from math import prod
n = int(input())
def factors(m):
    p = 2
    while p * p <= m:
        while m % p == 0:
            yield p
            m //= p
        p += 1 if p == 2 else 2
    if m > 1:
        yield m
print(prod(k + 1 for k in Counter(factors(n)).values()))
