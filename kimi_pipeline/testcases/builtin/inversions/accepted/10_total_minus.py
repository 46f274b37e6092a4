n = int(input())
a = input().split()
a = [int(w) for w in a]
ordered = 0
for i in range(n):
    for j in range(i + 1, n):
        ordered += a[i] <= a[j]
print(n * (n - 1) // 2 - ordered)
