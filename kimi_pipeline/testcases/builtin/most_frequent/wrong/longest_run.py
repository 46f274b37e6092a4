n = int(input())
a = input().split()
best, k, run = a[0], 1, 1
for i in range(1, n):
    run = run + 1 if a[i] == a[i - 1] else 1
    if run > k:
        best, k = a[i], run
print(best)
