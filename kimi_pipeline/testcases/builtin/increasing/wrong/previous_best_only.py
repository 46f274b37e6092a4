n = int(input())
a = list(map(int, input().split()))
d = [1] * n
for i in range(1, n):
    d[i] = d[i - 1] + 1 if a[i] > a[i - 1] else d[i - 1]
print(d[-1])
