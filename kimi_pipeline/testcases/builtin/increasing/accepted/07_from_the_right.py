n = int(input())
a = [int(w) for w in input().split()]
best = [1] * n
for i in range(n - 2, -1, -1):
    for j in range(i + 1, n):
        if a[j] > a[i] and best[j] >= best[i]:
            best[i] = best[j] + 1
print(max(best))
