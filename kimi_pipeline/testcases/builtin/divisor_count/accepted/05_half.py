n = int(input())
print(1 + len([d for d in range(1, n // 2 + 1) if n % d == 0]))
