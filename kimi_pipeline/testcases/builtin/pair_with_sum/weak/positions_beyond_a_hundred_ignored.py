n, s = map(int, input().split())
a = list(map(int, input().split()))[:100]
print(*next(((i + 1, j + 1) for i in range(len(a)) for j in range(i) if a[i] + a[j] == s), (1, 2)))
