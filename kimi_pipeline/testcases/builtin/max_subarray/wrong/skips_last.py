n = int(input())
a = list(map(int, input().split()))
best = cur = a[0]
for x in a[1:-1]:
    cur = max(cur + x, x)
    best = max(best, cur)
print(best)
