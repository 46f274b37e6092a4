n, m = map(int, input().split())
print(max(1, n - m))
