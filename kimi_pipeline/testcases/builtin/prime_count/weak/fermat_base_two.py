a, b = map(int, input().split())
print(sum(n == 2 or (n > 1 and pow(2, n - 1, n) == 1) for n in range(a, b + 1)))
