n = len(input())
print(n * (n + 1) // 2)
