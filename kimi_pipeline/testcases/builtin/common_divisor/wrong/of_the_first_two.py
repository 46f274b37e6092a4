from math import gcd
input()
print(gcd(*list(map(int, input().split()))[:2]))
