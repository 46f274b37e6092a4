from functools import reduce
from math import gcd
input()
print(reduce(gcd, map(int, input().split())))
