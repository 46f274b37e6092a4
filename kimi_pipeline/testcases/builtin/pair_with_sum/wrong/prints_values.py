n, s = map(int, input().split())
a = list(map(int, input().split()))
print(*next((a[i], a[j]) for i in range(n) for j in range(i) if a[i] + a[j] == s))
