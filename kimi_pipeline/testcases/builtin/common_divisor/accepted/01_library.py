from math import gcd
input()
print(gcd(*map(int, input().split())))
