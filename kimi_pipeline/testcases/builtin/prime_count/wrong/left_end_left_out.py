a, b = map(int, input().split())
print(sum(n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(a + 1, b + 1)))
