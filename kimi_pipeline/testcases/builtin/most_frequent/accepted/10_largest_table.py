input()
c = [0] * 51
best = 0
for x in map(int, input().split()):
    c[x] += 1
for v in range(51):
    if c[v] >= c[best]:
        best = v
print(best)
