from math import gcd
input()
a = list(map(int, input().split()))
print(gcd(*[abs(a[i] - a[i - 1]) for i in range(1, len(a))]))
