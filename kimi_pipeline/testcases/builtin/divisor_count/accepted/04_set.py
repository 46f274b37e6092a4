from math import isqrt
n = int(input())
found = set()
for d in range(1, isqrt(n) + 1):
    if not n % d:
        found |= {d, n // d}
print(len(found))
