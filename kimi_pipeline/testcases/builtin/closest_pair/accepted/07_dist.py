import sys
from math import dist
v = list(map(int, sys.stdin.read().split()))[1:]
p = list(zip(v[::2], v[1::2]))
best = dist(p[0], p[1])
for i in range(len(p)):
    for j in range(i):
        best = min(best, dist(p[i], p[j]))
print(round(best, 7))
