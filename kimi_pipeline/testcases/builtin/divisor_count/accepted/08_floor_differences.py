n = int(input())
print(sum(n // d - (n - 1) // d for d in range(1, n + 1)))
