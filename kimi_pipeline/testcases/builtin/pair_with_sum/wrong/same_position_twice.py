n, s = map(int, input().split())
a = list(map(int, input().split()))
print(*next((i + 1, j + 1) for i in range(n) for j in range(n) if a[i] + a[j] == s))
