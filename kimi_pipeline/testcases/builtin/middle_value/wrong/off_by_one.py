n = int(input())
a = sorted(map(int, input().split()))
print(a[min(n - 1, n // 2 + 1)])
