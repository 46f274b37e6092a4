input()
best, cur = -10**18, 0
for x in map(int, input().split()):
    if x < 0:
        best = max(best, x)
        cur = 0
    else:
        cur += x
        best = max(best, cur)
print(best)
