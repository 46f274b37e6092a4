n, s = map(int, input().split())
a = list(map(int, input().split()))
print(*next(((i + 1, i + 2) for i in range(n - 1) if a[i] + a[i + 1] == s), (1, 2)))
