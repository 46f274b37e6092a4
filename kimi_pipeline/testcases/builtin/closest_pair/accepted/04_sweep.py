from bisect import bisect_left, insort
from math import sqrt
n = int(input())
p = sorted(tuple(map(int, input().split())) for _ in range(n))
best = 10**14
window, left = [], 0
for x, y in p:
    while (x - p[left][0]) ** 2 > best:
        window.pop(bisect_left(window, (p[left][1], p[left][0])))
        left += 1
    r = int(sqrt(best)) + 1
    for b, a in window[bisect_left(window, (y - r, -10**7)):]:
        if b > y + r:
            break
        best = min(best, (x - a) ** 2 + (y - b) ** 2)
    insort(window, (y, x))
print(sqrt(best))
