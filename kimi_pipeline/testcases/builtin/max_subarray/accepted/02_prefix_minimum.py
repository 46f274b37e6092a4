import sys
_, *a = map(int, sys.stdin.read().split())
low, s, best = 0, 0, -10**18
for x in a:
    s += x
    best = max(best, s - low)
    low = min(low, s)
print(best)
