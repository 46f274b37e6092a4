n, s = map(int, input().split())
a = list(map(int, input().split()))
print(*next((i + 1, j + 1) for i in range(n - 1, -1, -1) for j in range(n - 1, i, -1) if a[i] + a[j] == s))
