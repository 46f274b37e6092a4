input()
best, s = -10**18, 0
for x in map(int, input().split()):
    s += x
    best = max(best, s)
print(best)
