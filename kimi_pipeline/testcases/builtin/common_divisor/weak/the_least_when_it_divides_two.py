input()
a = sorted(map(int, input().split()))
from math import gcd
print(a[0] if all(x % a[0] == 0 for x in a[:2]) else gcd(*a))
